"""`covlaw report`: one self-contained page."""

from pathlib import Path
from typing import Annotated

import tyro

from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable


def report(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = (), out: Path | None = None
) -> None:
    """Write one self-contained page: a ladder, a study or an LLM run, several, or a project.

    Args:
        runs: Folders of ladders, studies or LLM runs; several are compared, a column each. Of one
            folder that holds such folders everything is listed, a row each.
        out: The page; none: report.html in the folder, comparison.html here for several.
    """
    with stoppable():
        from covlaw.ladder.report import write_report
        from covlaw.ladder.report.first_line import first_lines

    page = write_report(*runs, out=out)
    for line in first_lines(runs):
        Console().print(line, soft_wrap=True, markup=False, highlight=False)
    Console().print(f"report: {page}", soft_wrap=True, markup=False)
