"""From a figure's name and a run to bytes: SVG and PNG files, or SVG for a page."""

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, BboxTransformTo

from covlaw.figures.available import available, require
from covlaw.figures.registry import FIGURES, Drawing, load
from covlaw.figures.style import MUTED, PAPER, house_style
from covlaw.theory.errors import CovlawError

METADATA = {"Date": None, "Creator": None}
"""Left out, so that the same records give the same bytes."""
LETTERS = 0.45
"""Width of a letter over its size, at the least: where fitting a line begins."""
TITLE, CAPTION = 10.5, 7.5
"""Sizes of type, in points."""
MARGIN = 0.07
"""Inches around title and caption."""


RECORDS = ("ladder", "study")
"""Runs that are kept beside the figures, the first that a figure can be drawn of is its own."""


def recorded(kind: str = "ladder") -> Path:
    """Return the small record of a run that is kept beside the figures."""
    return Path(__file__).parent / "data" / kind


def record_for(name: str) -> Path:
    """Return the record that a figure is drawn of by default.

    Raises:
        CovlawError: if none holds what it needs.
    """
    for kind in RECORDS:
        if name in available(recorded(kind)):
            return recorded(kind)
    raise CovlawError(f"no record in {recorded().parent} suffices for figure {name!r}")


def save_all(
    names: Sequence[str] = (), run: Path | None = None, out: Path = Path("figures-out")
) -> Iterator[Path]:
    """Write figures of a run, or each of its own small record; yield the paths as they come.

    Args:
        names: Which; none: all that can be drawn.
        run: Folder of a run; None: the records kept beside the figures.
        out: Folder for the pictures.

    Raises:
        CovlawError: before anything is drawn, for an unknown name or a run that lacks what a
            figure needs.
    """
    for name in names:
        load(name)
        require(name, run or record_for(name))
    drawable = names or (available(run) if run else tuple(FIGURES))
    if not drawable:
        raise CovlawError(f"{run} holds no recorded run")
    for name in drawable:
        yield from save(name, run or record_for(name), out)


def save(name: str, run: Path, out: Path) -> list[Path]:
    """Write `<name>.svg` and `<name>.png` with title and caption; return their paths.

    Raises:
        CovlawError: if the folder cannot be made or written.
    """
    drawing = load(name)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _save(name, drawing, run, out)
    except OSError as error:
        raise CovlawError(f"cannot write to {out}: {error.strerror or error}") from error


def _save(name: str, drawing: Drawing, run: Path, out: Path) -> list[Path]:
    paths = [out / f"{name}.{kind}" for kind in ("svg", "png")]
    with house_style():
        figure = with_words(drawing, run)
        figure.savefig(paths[0], metadata=METADATA, facecolor=PAPER)
        figure.savefig(paths[1], facecolor=PAPER)
    return paths


def inline_svg(name: str, run: Path) -> str:
    """Draw a figure as an SVG element for a page, without title and caption.

    Ids are made unique to the figure, and each colour #rrggbb becomes var(--rrggbb, #rrggbb), so
    that a page can restyle it for a dark screen.
    """
    buffer = io.StringIO()
    with house_style():
        load(name).draw(run).savefig(buffer, format="svg", metadata=METADATA)
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"(?<=: )(#([0-9a-f]{6}))\b", r"var(--c\2, \1)", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)


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
    width = float(figure.get_size_inches()[0])
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
