"""The commands themselves; each returns an exit code or None."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from covlaw.ladder.commands.check import check
from covlaw.ladder.commands.find import find
from covlaw.ladder.commands.ladder import ladder
from covlaw.ladder.commands.llm.audit import audit
from covlaw.ladder.commands.llm.base import base
from covlaw.ladder.commands.llm.evaluate import evaluate
from covlaw.ladder.commands.llm.train import presets, train
from covlaw.ladder.commands.study import study
from covlaw.ladder.report import write_report

_console = Console(stderr=False)


def report(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = (), out: Path | None = None
) -> None:
    """Write one self-contained page about a ladder, a study or an LLM run, or about several.

    Args:
        runs: Folders of ladders, studies or LLM runs; several are compared, a column each.
        out: The page; none: report.html in the folder, comparison.html here for several.
    """
    _console.print(f"report: {write_report(*runs, out=out)}", soft_wrap=True, markup=False)


def figures(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    run: Path | None = None,
    out: Path = Path("figures-out"),
) -> None:
    """Draw figures (SVG and PNG) from recorded runs only.

    Args:
        names: Which; none: all.
        run: Folder of a ladder, a study or an LLM run; none: the small records kept with the code.
        out: Folder for the pictures.
    """
    from covlaw.figures._drawing.render import save_all

    for path in save_all(names, run, out):
        _console.print(str(path), soft_wrap=True, markup=False)


def llm() -> None:
    """The LLM rung: base, presets, train, audit, eval (`covlaw llm --help`)."""


LLM_COMMANDS: dict[str, Callable[..., Any]] = {
    "base": base,
    "presets": presets,
    "train": train,
    "audit": audit,
    "eval": evaluate,
}
COMMANDS: dict[str, Callable[..., Any]] = {
    "ladder": ladder,
    "check": check,
    "find": find,
    "study": study,
    "llm": llm,
    "report": report,
    "figures": figures,
}
