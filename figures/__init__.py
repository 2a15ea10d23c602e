"""Figures, from recorded runs only."""
