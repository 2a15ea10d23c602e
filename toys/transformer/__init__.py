"""Rung 3: a real causal LM with every completion listed."""
