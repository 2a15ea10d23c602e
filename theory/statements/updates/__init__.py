"""A2. The law for any update and any optimiser (T8–T10)."""
