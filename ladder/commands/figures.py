"""`covlaw figures`: pictures from records."""

from pathlib import Path
from typing import Annotated

import tyro

from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable


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
    with stoppable():
        from covlaw.figures._drawing.render import save_all

    console = Console()
    for path in save_all(names, run, out):
        console.print(str(path), soft_wrap=True, markup=False)
