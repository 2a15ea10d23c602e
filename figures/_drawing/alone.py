"""Drawing one figure as a program: `python -m covlaw.figures.interference --help`."""

import argparse
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from covlaw.figures._drawing.render import save_all
from covlaw.theory._numerics.errors import CovlawError

FAILED = 2


def draw_alone(module: ModuleSpec | None) -> None:
    """Draw the figure of a module that runs as a program, and end the process.

    Args:
        module: Its `__spec__`.
    """
    name = module.name.rpartition(".")[2] if module else ""
    parser = argparse.ArgumentParser(
        prog=f"python -m covlaw.figures.{name}",
        description=f"Draw the figure {name} (SVG and PNG) from recorded files only.",
    )
    parser.add_argument("run", nargs="?", type=Path, help="folder of a run (default: our record)")
    parser.add_argument(
        "--out", type=Path, default=Path("figures-out"), help="default: %(default)s"
    )
    given = parser.parse_args()
    try:
        for path in save_all([name], given.run, given.out):
            print(path)
    except CovlawError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
