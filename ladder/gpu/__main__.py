"""`python -m covlaw.ladder.gpu`: the stages in a time budget; again continues them."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from covlaw.ladder.exit_codes import FAILED, INTERRUPTED
from covlaw.ladder.plain_text import complain

NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "filelock", "rich", "scipy",
          "sympy", "tomli_w", "math_verify")  # fmt: skip
"""Modules that the stages import, and the process that compares answers."""


def main(argv: Sequence[str] | None = None, needed: Sequence[str] = NEEDED, **replaced: Any) -> int:
    """Run the stages and return the exit code; `replaced` goes to `run_stages`."""
    given = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(given)
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        return complain(
            f"missing here: {', '.join(missing)}. With a package index: pip install -e '.[llm]'; "
            "without one: `make gpu-wheels` where there is one, bring requirements/gpu-wheels along"
        )
    from covlaw.ladder.gpu.session import run_stages
    from covlaw.theory._numerics.errors import CovlawError

    try:
        return FAILED if run_stages(options, given, **replaced) else 0
    except CovlawError as error:
        return complain(str(error))
    except KeyboardInterrupt as interrupt:
        return complain(str(interrupt) or "interrupted; the same command continues", INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m covlaw.ladder.gpu",
        description="Validation on one GPU: a base model, RL runs with audits, their verdict, and "
        "throughput. A stage that was stopped continues with the same command.",
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="time budget of this command")
    parser.add_argument(
        "--stages",
        nargs="+",
        metavar="STAGE",
        default=(),
        help="some of base, runs, verdict, throughput, real; default: all, in this order",
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="every stage at a tiny size on the CPU, in a minute or two",
    )
    parser.add_argument(
        "--model", help="of the stage real: a folder, where smollm2 can't be fetched"
    )
    parser.add_argument("--out", type=Path, help="folder; default: runs/gpu, or runs/gpu-tiny")
    parser.add_argument("--record", type=Path,
                        help="folder for the small results; default: OUT/record")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
