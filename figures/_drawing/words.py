"""A figure's title above and its caption below, fitted to its width."""

import textwrap
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, BboxTransformTo

from covlaw.figures._drawing.looks import MUTED
from covlaw.figures.registry import Drawing

LETTERS = 0.45
"""Width of a letter over its size, at the least: where fitting a line begins."""
TITLE, CAPTION = 10.5, 7.5
"""Sizes of type, in points."""
MARGIN = 0.07
"""Inches around title and caption."""


def with_words(drawing: Drawing, run: Path) -> Figure:
    """Draw a figure, its title above and its caption below; what is drawn keeps its size."""
    figure, words = drawing.draw(run), drawing.describe(run)
    width, height = figure.get_size_inches()
    title = _wrapped(figure, words.title, fontsize=TITLE, fontweight="bold")
    caption = _wrapped(figure, words.caption, fontsize=CAPTION)
    above, below = _tall(title, TITLE), _tall(caption, CAPTION)
    total = height + above + below
    _move(figure, Bbox.from_bounds(0, below / total, 1, height / total))
    figure.set_size_inches(width, total)
    edge = MARGIN / total
    figure.text(0.01, 1 - edge, title, va="top", fontsize=TITLE, fontweight="bold")
    figure.text(0.01, edge, caption, va="bottom", fontsize=CAPTION, color=MUTED)
    return figure


def _wrapped(figure: Figure, text: str, **style: Any) -> str:
    """Break a text into the fewest letters a line less that fit the figure's width."""
    width, text = float(figure.get_size_inches()[0]), text.replace(" %", "\N{NO-BREAK SPACE}%")
    for letters in range(int(width * 72 / style["fontsize"] / LETTERS), 20, -1):
        lines = textwrap.fill(text, letters, break_on_hyphens=False)
        drawn = figure.text(0.01, 0, lines, **style)
        fits = drawn.get_window_extent().x1 <= 0.99 * figure.bbox.x1
        drawn.remove()
        if fits:
            break
    return lines


def _move(figure: Figure, box: Bbox) -> None:
    """Lay the figure out as it stands, then put all of it into a part of itself."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    into = BboxTransformTo(box)
    for axes in figure.axes:
        axes.set_position(axes.get_position().transformed(into))
    for legend in figure.legends:
        legend.set_bbox_to_anchor(box, transform=figure.transFigure)


def _tall(text: str, points: float) -> float:
    """Height of lines of text with space around, in inches."""
    return (text.count("\n") + 1) * 1.22 * points / 72 + 2 * MARGIN
