"""`covlaw report`: one self-contained page."""

from pathlib import Path
from typing import Annotated

import tyro

from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable


def report(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = (), out: Path | None = None
) -> None:
    """Write one self-contained page about a ladder, a study or an LLM run, or about several.

    Args:
        runs: Folders of ladders, studies or LLM runs; several are compared, a column each.
        out: The page; none: report.html in the folder, comparison.html here for several.
    """
    with stoppable():
        from covlaw.ladder.report import write_report

    Console().print(f"report: {write_report(*runs, out=out)}", soft_wrap=True, markup=False)
