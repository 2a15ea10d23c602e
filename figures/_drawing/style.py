"""One page for every figure: its width, type, axes and lines of zero (colours: `looks`)."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from covlaw.figures._drawing.looks import GRID, INK, MUTED

WIDTH = 6.5
"""Inches: a paper's text width."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.hinting": "none",  # else the width of a text depends on the resolution
    "figure.dpi": 200,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # names of objectives may hold dollar signs
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "covlaw",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the look to whatever is drawn and saved inside."""
    with mpl.rc_context(RC), warnings.catch_warnings():
        # an objective's name may be in any script; what the font lacks is drawn as a box
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of the house width, in inches."""
    return Figure(figsize=(width, height))


def zero_line(axes: Axes) -> None:
    """Draw the line that separates rise from fall."""
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)


def zero_line_across(axes: Axes) -> None:
    """Draw it where rise and fall are left and right."""
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)


def power_of_ten(value: float, _: float | None = None) -> str:
    """Return "10⁻³" for 0.001, a formatter of axes; matplotlib's own needs its math parser."""
    return "10" + str(round(math.log10(value))).translate(_RAISED)


def shorten(text: str, limit: int = 18) -> str:
    """Cut a long name to fit an axis; the page's tables hold it in full."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def objective_columns(
    figure: Figure, columns: int, heights: tuple[float, ...]
) -> NDArray[np.object_]:
    """Lay out a column an objective and a row a quantity; rows share their vertical axis."""
    grid = {"height_ratios": heights}
    axes = figure.subplots(
        len(heights), columns, sharex="col", sharey="row", squeeze=False, gridspec_kw=grid
    )
    return np.asarray(axes)
