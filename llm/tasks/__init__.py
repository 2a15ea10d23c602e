"""Tasks: where prompts and reference answers come from."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from covlaw.llm.tasks import arithmetic, columns, math500
from covlaw.llm.tasks.problem import Problem
from covlaw.theory._numerics.errors import CovlawError, unknown

SPLITS = arithmetic.SPLITS

Loader = Callable[[str, str | None, Mapping[str, Any]], list[Problem]]
"""(split, path, options) -> problems, always the same ones in the same order."""

TASKS: dict[str, Loader] = {
    "arithmetic": arithmetic.load,
    "math500": math500.load,
    "jsonl": partial(columns.load, "jsonl"),
    "parquet": partial(columns.load, "parquet"),
}

__all__ = ["SPLITS", "TASKS", "Problem", "load_task"]


def load_task(
    name: str,
    split: str,
    *,
    path: str | None = None,
    options: Mapping[str, Any] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> list[Problem]:
    """Load the problems of one split in a random but reproducible order.

    Args:
        name: A task in `TASKS`.
        split: train, val or test; no problem is in two of them, whatever the seed.
        path: Where the task's files are: a folder, a file, or a hub id; arithmetic has none.
        options: arithmetic: `difficulty`; the others: their columns (`columns.Columns`).
        limit: Keep at most this many problems; None for all.
        seed: Decides the order, and with `limit` which problems are kept.

    Raises:
        CovlawError: for an unknown task, split or option (with near matches), a limit below 1,
            files that cannot be read, or a split without problems.
    """
    if name not in TASKS:
        raise unknown("task", name, tuple(TASKS))
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    problems = TASKS[name](split, path, options or {})
    if not problems:
        raise CovlawError(f"split {split!r} of task {name!r} has no problems")
    if limit is not None and limit < 1:
        raise CovlawError(f"limit {limit} of task {name!r} must be at least 1")
    order = np.random.default_rng(seed).permutation(len(problems))
    return [problems[i] for i in order[:limit]]
