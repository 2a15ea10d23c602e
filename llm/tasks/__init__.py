"""Tasks: where prompts and reference answers come from."""

from collections.abc import Callable

import numpy as np

from covlaw.llm.tasks import arithmetic, math500
from covlaw.llm.tasks.problem import Problem
from covlaw.theory.errors import CovlawError
from covlaw.theory.rungs import unknown

SPLITS = ("train", "val", "test")

TASKS: dict[str, Callable[[str, str | None], list[Problem]]] = {
    "arithmetic": arithmetic.load,
    "math500": math500.load,
}
"""Name -> (split, path) -> problems, always the same ones in the same order."""

__all__ = ["SPLITS", "TASKS", "Problem", "load_task"]


def load_task(
    name: str, split: str, *, path: str | None = None, limit: int | None = None, seed: int = 0
) -> list[Problem]:
    """Load the problems of one split in a random but reproducible order.

    Args:
        name: A task in `TASKS`.
        split: train, val or test; no problem is in two of them, whatever the seed.
        path: Where the task's files are (math500: a folder or a hub id); arithmetic has none.
        limit: Keep at most this many problems; None for all.
        seed: Decides the order, and with `limit` which problems are kept.

    Raises:
        CovlawError: for an unknown task or split (with near matches), a limit below 1,
            or files that cannot be read.
    """
    if name not in TASKS:
        raise unknown("task", name, tuple(TASKS))
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    problems = TASKS[name](split, path)
    if limit is not None and limit < 1:
        raise CovlawError(f"limit {limit} of task {name!r} must be at least 1")
    order = np.random.default_rng(seed).permutation(len(problems))
    return [problems[i] for i in order[:limit]]
