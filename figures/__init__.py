"""Figures, each drawn from recorded runs only."""

from covlaw.figures.registry import FIGURES, Drawing, load

__all__ = ["FIGURES", "Drawing", "load"]
