"""The pictures of a run: three at the top of its page, the others further down."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from covlaw.figures._drawing.available import available
from covlaw.figures._drawing.render import UnfitRecordError, fit_to_draw, inline_svg
from covlaw.figures.registry import load

FIRST = (
    *("ladder_matrix", "interference", "predicted_vs_realised"),
    *("study", "reference_defects", "law_budget"),
)
"""Those that say most, in this order; then the others in the registry's."""
AT_THE_TOP = 3


class Picture(NamedTuple):
    """A figure on a page; `svg` is empty where an older record lacks what it is drawn of."""

    id: str
    name: str
    title: str
    caption: str
    svg: Markup


def top_and_rest(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part figures that can be drawn into the three for the top and the others."""
    first = sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    top = first[:AT_THE_TOP]
    return top, [name for name in names if name not in top]


def drawable(run: Path) -> list[str]:
    """Figures that a folder's records suffice for."""
    return available(run)


def picture(name: str, run: Path, prefix: str = "") -> Picture:
    """Draw a figure of a run.

    Args:
        name: Of the figure.
        run: Folder.
        prefix: Of every id in it, where a page draws the figure of several runs.
    """
    try:
        with fit_to_draw(name, run):
            words = load(name).describe(run)
        svg = inline_svg(name, run)
    except UnfitRecordError as unfit:
        return Picture(prefix + name, name, name.replace("_", " "), f"{unfit}.", Markup())
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", svg)
    drawn = Markup(svg)  # noqa: S704 - our own drawing; matplotlib escapes its text
    title, caption = (text.replace(" %", "\N{NO-BREAK SPACE}%") for text in words)
    return Picture(prefix + name, name, title, caption, drawn)
