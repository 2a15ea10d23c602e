"""How a run names its rewards: "name", "module:function", "file.py:function", "shown=…"."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import Spec, parse

ARGUMENTS = ("completions", "references", "lengths", "state")


def parse_reward(entry: str) -> Spec:
    """Read "target" or "name=target"; without a name the target is the name.

    Raises:
        CovlawError: where either side of the sign is empty.
    """
    return parse("reward", entry)


def reward_names(entries: Sequence[str]) -> tuple[str, ...]:
    """List the objectives' names of a run's `rewards`."""
    return tuple(parse_reward(entry).name for entry in entries)


def with_signature(function: Any, target: str) -> Callable[..., Any]:
    """Return a reward from outside, if it can be called with the four arguments.

    Raises:
        CovlawError: for what is no function, or takes something else.
    """
    if not callable(function):
        raise CovlawError(f"reward {target!r} is {type(function).__name__}, not a function")
    try:
        inspect.signature(function).bind(*ARGUMENTS)
    except TypeError as error:
        raise CovlawError(
            f"reward {target!r} takes {inspect.signature(function)}: it must take "
            f"({', '.join(ARGUMENTS)})"
        ) from error
    except ValueError:  # a compiled function does not tell
        return function  # type: ignore[no-any-return]
    return function  # type: ignore[no-any-return]
