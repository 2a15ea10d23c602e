"""Worlds from exact rational data: what the counterexamples of part F are made of."""
