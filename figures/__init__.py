"""Figures, each drawn from recorded runs only.

Not public: `covlaw figures` draws them.
"""

from covlaw.figures.registry import FIGURES, Drawing, load

__all__ = ["FIGURES", "Drawing", "load"]
