"""From a figure's name and a run to bytes: SVG and PNG files, or SVG for a page."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from covlaw.figures._drawing.available import available, require
from covlaw.figures._drawing.compact import compact
from covlaw.figures._drawing.looks import PAPER
from covlaw.figures._drawing.style import RC, house_style
from covlaw.figures._drawing.words import with_words
from covlaw.figures.registry import FIGURES, Drawing, load
from covlaw.theory._numerics.errors import CovlawError

METADATA = {"Date": None, "Creator": None}
"""Left out, so that the same records give the same bytes."""
COLORS = 256
"""Of a PNG."""
RECORDS = ("ladder", "study", "study-guard", "guard-llm", "real")
"""Runs that are kept beside the figures, the first that a figure can be drawn of is its own."""
OWN = {"guard": "guard-llm"}
"""Where a ladder, which has a guarded run too, says less."""


def recorded(kind: str = "ladder") -> Path:
    """Return the small record of a run that is kept beside the figures."""
    return Path(__file__).parents[1] / "data" / kind


def record_for(name: str) -> Path:
    """Return the record that a figure is drawn of by default.

    Raises:
        CovlawError: if none holds what it needs.
    """
    for kind in dict.fromkeys((OWN.get(name, RECORDS[0]), *RECORDS)):
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
    with house_style(), fit_to_draw(name, run):
        figure = with_words(drawing, run)
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata=METADATA, facecolor=PAPER)
        paths[0].write_text(compact(picture.getvalue()) + "\n", encoding="utf-8")
        figure.savefig(paths[1], facecolor=PAPER)
    _write_palette(paths[1])
    return paths


def _write_palette(path: Path) -> None:
    """A third of the bytes: the 256 colours that cover a PNG's best, all within a few of 255."""
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(
            COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    few.save(path, optimize=True, dpi=(RC["figure.dpi"],) * 2)


class UnfitRecordError(CovlawError):
    """A figure cannot be drawn of a record: fields are missing, or hold something else."""


@contextmanager
def fit_to_draw(name: str, run: Path) -> Iterator[None]:
    """Say which figure a record does not suffice for, instead of failing with a traceback.

    Raises:
        UnfitRecordError: in place of what drawing from wrong fields raises.
    """
    try:
        yield
    except CovlawError:
        raise
    except KeyError as missing:  # a field that records of an older version do not have
        reason = f"lacks {missing}: record the run anew"
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        StopIteration,
        TypeError,
        ValueError,
    ) as error:
        reason = f"does not hold what it should ({ascii(str(error))[:80]}): record the run anew"
    else:
        return
    raise UnfitRecordError(f"figure {name!r}: {run / FIGURES[name].needs} {reason}")


def inline_svg(name: str, run: Path) -> str:
    """Draw a figure as an SVG element for a page, without title and caption.

    Ids are made unique to the figure, and each colour #rrggbb becomes var(--rrggbb, #rrggbb), so
    that a page can restyle it for a dark screen.
    """
    buffer = io.StringIO()
    with house_style(), fit_to_draw(name, run):
        load(name).draw(run).savefig(buffer, format="svg", metadata=METADATA)
    svg = buffer.getvalue()
    svg = compact(svg[svg.index("<svg") :])
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r' fill="(#[0-9a-f]{6})"', r' style="fill:\1"', svg)  # of hatched surfaces
    svg = re.sub(r"(?<=:)(#([0-9a-f]{6}))\b", r"var(--c\2,\1)", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
