"""Shares of counted cases with their 95 % Wilson intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.stats import binomtest

from covlaw.figures._drawing.looks import Look


def draw_shares(
    axes: Axes, x: Sequence[float], counts: Sequence[tuple[int, int]], look: Look, label: str
) -> None:
    """Draw count/n along x, with Wilson's interval for a binomial share.

    Args:
        axes: Where.
        x: One place a share.
        counts: (count, n ≥ 1) each.
        look: Colour, marker and line.
        label: For the legend.
    """
    rows = []
    for count, n in counts:
        interval = binomtest(count, n).proportion_ci(method="wilson")
        share = count / n
        rows.append((share, max(share - interval.low, 0.0), max(interval.high - share, 0.0)))
    shares, below, above = np.transpose(rows)
    axes.errorbar(
        x,
        shares,
        (below, above),
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        markersize=3.5,
        linewidth=1.1,
        elinewidth=0.8,
        label=label,
    )
