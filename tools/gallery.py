"""docs/figures.md, written from the figures and their records: `make docs`."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from covlaw.figures._drawing.render import record_for
from covlaw.figures.registry import FIGURES, load

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/figures.md")

INTRODUCTION = """# The figures

Written by `make docs` from the records; do not edit. A figure reads recorded files only, and its
title and caption are computed from them, so that a claim never outlives its data. To draw one:

```sh
covlaw figures                                # all, from the records kept with the code
covlaw figures interference --run runs/mine   # of a run of your own
python -m covlaw.figures.interference --help  # the same as a program of its own
```

The pictures here are the committed ones, `figures/pictures/*.svg` and `*.png`; a test draws each
again and compares: SVG byte for byte, PNG by pixels. [The records](../figures/data/README.md) say
on what machine, with which versions and by which command they were made. [The
statements](statements.md) hold the formulas."""


def page() -> str:
    """Write the page: every figure with what it claims and how to read it."""
    return "\n\n".join([INTRODUCTION, *(_entry(name) for name in FIGURES)]) + "\n"


def _entry(name: str) -> str:
    words = load(name).describe(record_for(name))
    about, _, reading = (import_module(f"covlaw.figures.{name}").__doc__ or "").partition("\n\n")
    lines = [
        f"## {name}\n",
        f"*{about}*\n",
        f"![{words.title}](../figures/pictures/{name}.png)\n",
        f"**{words.title}.** {words.caption}\n",
        *([" ".join(reading.split()) + "\n"] if reading else []),
        "; ".join(_facts(name)) + ".",
    ]
    return "\n".join(lines)


def _facts(name: str) -> Iterator[str]:
    record = record_for(name).relative_to(ROOT / "figures").as_posix()
    yield f"Code: [figures/{name}.py](../figures/{name}.py)"
    yield f"record: [figures/{record}](../figures/data/README.md), {FIGURES[name].needs}"
    shown = ", ".join(f"[{id}](statements.md#{id.lower()})" for id in FIGURES[name].shows)
    if shown:
        yield f"statements: {shown}"


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), encoding="utf-8")
