"""Part H: the guard, which keeps every objective under any optimiser."""
