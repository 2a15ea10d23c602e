"""One look for every figure: colours, markers and line styles that survive greyscale.

Hues of algorithms are Okabe and Ito's (2008), those of objectives Paul Tol's muted ones, both safe
for the common kinds of colour blindness; whatever a colour says, a marker, a line style or a hatch
says too.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from covlaw.records.ladder import GUARDED as UNDER_GUARD

INK, MUTED, GRID, PAPER = "#1c2128", "#57606a", "#d0d7de", "#ffffff"
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


class Look(NamedTuple):
    """How one series is drawn."""

    color: str
    marker: str
    line: str
    hatch: str = ""


OBJECTIVES = (
    Look("#332288", "o", "-"),
    Look("#999933", "s", "--"),
    Look("#882255", "^", "-."),
    Look("#44aa99", "D", ":"),
    Look("#cc6677", "v", "-"),
    Look("#117733", "P", "--"),
)
"""Of objectives and other series that are no algorithms, in hues that no algorithm has."""
SCALARIZERS = {
    "linear": Look("#d55e00", "o", "--"),
    **dict.fromkeys(("ctwa", "ctwa-fast", "ctwa-guided"), Look("#0072b2", "s", "-")),
    **dict.fromkeys(("mgda", "covariance_mgda"), Look("#009e73", "^", "-.")),
    "gdpo": Look("#e69f00", "v", "-"),
    "upgrad": Look("#cc79a7", "P", ":"),
}
"""Each in every figure that tells algorithms apart; forms of one algorithm share its look."""
GUARDED = Look(INK, "D", "-")
"""Linear weights under the guard, and whatever else is guarded."""
OTHER_SCALARIZERS = (Look("#56b4e9", "X", "-."), Look("#cc79a7", "<", ":"))


def objective_look(index: int) -> Look:
    """Look of the index-th objective; they repeat after six."""
    return OBJECTIVES[index % len(OBJECTIVES)]


def scalarizer_looks(names: list[str]) -> dict[str, Look]:
    """Look of each method; those of `SCALARIZERS` keep theirs, guarded ones have one."""
    guarded = {name: GUARDED for name in names if name.endswith(UNDER_GUARD)}
    others = [name for name in names if name not in SCALARIZERS | guarded]
    spare = {name: OTHER_SCALARIZERS[k % 2] for k, name in enumerate(others)}
    return {name: (SCALARIZERS | guarded | spare)[name] for name in names}


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
