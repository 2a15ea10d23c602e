"""Tasks: where prompts and reference answers come from."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from covlaw.llm.tasks.problem import SPLITS, Problem
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import Registry

Loader = Callable[[str, str | None, Mapping[str, Any]], Iterable[Any]]
"""(split, path, options) -> problems, (prompt, reference) pairs or (prompt, reference, columns),
always in the same order; `prefix` and `suffix` are no concern of it."""

_HERE = "covlaw.llm.tasks"


def _is_loader(found: Any, target: str) -> Loader:
    if not callable(found):
        raise CovlawError(
            f"task {target!r} is {type(found).__name__}, not a function of (split, path, options)"
        )
    return found  # type: ignore[no-any-return]


TASKS: Registry[Loader] = Registry(
    "task",
    "covlaw.tasks",
    {
        "arithmetic": f"{_HERE}.arithmetic:load",
        "math500": f"{_HERE}.math500:load",
        "jsonl": f"{_HERE}.columns:load_jsonl",
        "json": f"{_HERE}.columns:load_json",
        "csv": f"{_HERE}.columns:load_csv",
        "parquet": f"{_HERE}.columns:load_parquet",
        "arrow": f"{_HERE}.columns:load_arrow",
    },
    _is_loader,
)
"""Loaders by name, imported when asked for; other packages add theirs by entry points."""

AROUND = ("prefix", "suffix")
"""Options of every task."""

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
        name: A task in `TASKS`, or "module:function" or "path/to/file.py:function" from outside.
        split: train, val or test; no problem is in two of them, whatever the seed.
        path: Where the task's files are: a folder, a file, or a hub id; arithmetic has none.
        options: arithmetic: `difficulty`; the others: their columns (`columns.Columns`). Every
            task takes `prefix` and `suffix`: text before and after each question, e.g. an
            instruction to box the answer; in a conversation around its last turn.
        limit: Keep at most this many problems; None for all.
        seed: Decides the order, and with `limit` which problems are kept.

    Raises:
        CovlawError: for an unknown task, split or option (with near matches), a limit below 1,
            files that cannot be read, or a split without problems.
    """
    import numpy as np  # naming tasks needs none

    loader = TASKS.find(name)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    own = dict(options or {})
    around = [_text(name, option, own.pop(option, "")) for option in AROUND]
    problems = [p.around(*around) for p in _problems(name, loader(split, path, own))]
    if not problems:
        raise CovlawError(f"split {split!r} of task {name!r} has no problems")
    if limit is not None and limit < 1:
        raise CovlawError(f"limit {limit} of task {name!r} must be at least 1")
    order = np.random.default_rng(seed).permutation(len(problems))
    return [problems[i] for i in order[:limit]]


def _text(task: str, option: str, value: Any) -> str:
    if not isinstance(value, str):
        raise CovlawError(f"option {option} of task {task!r} is {value!r}: use text")
    return value


def _problems(name: str, found: Iterable[Any]) -> list[Problem]:
    """Read what a loader returns; CovlawError names the entry that is no problem."""
    problems = []
    for k, entry in enumerate(found):
        if isinstance(entry, Problem):
            problems.append(entry)
            continue
        parts = tuple(entry) if isinstance(entry, tuple | list) else ()
        texts, others = parts[:2], parts[2] if len(parts) == 3 else {}
        if (
            len(parts) not in (2, 3)
            or not all(isinstance(text, str) for text in texts)
            or not isinstance(others, Mapping)
        ):
            raise CovlawError(
                f"task {name!r}: problem {k} is {entry!r:.200}; give (prompt, reference), two "
                "texts, and what else rewards may ask for in a table after them"
            )
        problems.append(Problem(texts[0], texts[1], others))
    return problems
