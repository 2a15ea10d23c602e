"""Curves over a run's steps, smoothed: thin lines one run each, a thick one their mean."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from covlaw.figures._drawing.looks import GRID, Look
from covlaw.records.ladder import Array

WINDOW = 5
"""Steps that curves are averaged over."""


def smoothed_curves(axes: Axes, curves: Sequence[Array], look: Look, label: str) -> None:
    """Draw runs of one kind.

    Args:
        axes: Where.
        curves: (T,) each; the mean goes as far as the shortest.
        look: Colour, marker and line.
        label: For the legend; none: "".
    """
    shortest = min(map(len, curves))
    window = min(WINDOW, shortest)
    smooth = [np.convolve(curve, np.ones(window) / window, "valid") for curve in curves]
    for curve in smooth:
        steps = np.arange(len(curve)) + window // 2
        axes.plot(steps, curve, color=look.color, linewidth=0.6, alpha=0.6)
    mean = np.mean([curve[: shortest - window + 1] for curve in smooth], axis=0)
    axes.plot(
        np.arange(len(mean)) + window // 2,
        mean,
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        linewidth=2,
        markersize=4,
        markevery=6,
        label=label,
    )
    axes.grid(color=GRID)
