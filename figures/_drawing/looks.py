"""A colour means the same in every figure, and is never alone in saying it.

Hues of algorithms are Okabe and Ito's (2008), those of objectives Paul Tol's muted ones, both safe
for the common kinds of colour blindness. All other series (terms, bounds, estimators, models) are
slate or brown, too dull to be taken for either. Verdicts have the colours of the report. Whatever a
colour says, a marker, a line style, a hatch or a symbol says too, so that all survives greyscale.
"""

from typing import NamedTuple

from covlaw.records.ladder import GUARDED as UNDER_GUARD

INK, MUTED, GRID, PAPER = "#1c2128", "#57606a", "#d0d7de", "#ffffff"


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
    Look("#aa4499", "D", ":"),
    Look("#cc6677", "v", "-"),
    Look("#117733", "P", "--"),
)
"""In the order of a run's rewards."""
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
NEUTRALS = (
    Look("#22384e", "o", "-"),
    Look("#9e7d52", "s", "--", "//"),
    Look("#5d7d9c", "^", "-.", ".."),
    Look("#6b4a2b", "D", ":", "xx"),
    Look("#8197ab", "v", "-", "||"),
)
"""Of series that are neither; of two of which one is right, that is the first."""
SAND, MIST, SNOW = "#e0cfb2", "#b9cbdb", "#eef2f6"
"""Fills of bars with an outline, paler than a line or a mark may be."""
SHADES = "#f7fafd", "#294768"
"""Of a share, from 0 to 1: light to dark in greyscale too."""
ON_LIGHT, ON_DARK, DARK = "#010101", "#fefefe", 0.7275
"""Text on such a cell, and the share from which it is white: no contrast is below 4.5. Not the
page's ink and paper, which a dark page exchanges while shades stay."""
VERDICTS = {"good": "#116329", "bad": "#b3261e", "open": "#7d5600"}
"""The same as in the report."""


def objective_look(index: int) -> Look:
    """Look of the index-th objective; they repeat after six."""
    return OBJECTIVES[index % len(OBJECTIVES)]


def scalarizer_looks(names: list[str]) -> dict[str, Look]:
    """Look of each method; those of `SCALARIZERS` keep theirs, guarded ones have one."""
    guarded = {name: GUARDED for name in names if name.endswith(UNDER_GUARD)}
    others = [name for name in names if name not in SCALARIZERS | guarded]
    spare = {name: OTHER_SCALARIZERS[k % 2] for k, name in enumerate(others)}
    return {name: (SCALARIZERS | guarded | spare)[name] for name in names}
