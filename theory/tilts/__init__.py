"""Finite exponential tilts: how far the first order reaches, and where signs turn."""
