"""Which arguments a reward function takes, without calling it; torch is not needed for that."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import CovlawError

ARGUMENTS = ("completions", "references", "lengths", "state")
"""Of a function that is called by position, whatever it calls them."""
OURS = frozenset(ARGUMENTS[1:])
"""Names that TRL does not give: a function that asks for one gets texts, not turns."""


class Style(NamedTuple):
    """How one function is called."""

    by_name: bool
    wanted: tuple[str, ...] = ()
    """Names of its arguments."""
    everything: bool = False
    """Whether it takes **columns."""
    missing: tuple[str, ...] = ()
    """Arguments without a default that nobody gives; it cannot be called."""

    @property
    def turns(self) -> bool:
        """Whether conversations go in and out as lists of turns, as TRL has it."""
        return self.by_name and not OURS & set(self.wanted)


def style_of(function: Any, columns: Sequence[str]) -> Style:
    """Decide how to call a function where the task has these columns.

    By name where all that it must be given is there under its name, else by position where it takes
    four. TRL's signature, (prompts, completions, **columns), is one of the former.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a compiled function does not tell
        return Style(by_name=False)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    everything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = {*ARGUMENTS, "prompts", *columns}
    missing = tuple(p.name for p in named if p.default is p.empty and p.name not in known)
    hidden = any(p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) for p in parameters)
    wanted = tuple(p.name for p in named)
    if not missing and not hidden and (everything or named):
        return Style(True, wanted, everything)
    if takes_four(function):
        return Style(by_name=False)
    return Style(True, wanted, everything, missing or ARGUMENTS)


def takes_four(function: Any) -> bool:
    """Whether it can be called with the four arguments by position."""
    try:
        inspect.signature(function).bind(*ARGUMENTS)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def missing_words(style: Style, columns: Sequence[str]) -> str:
    """Say which arguments nobody gives."""
    there = ", ".join((*ARGUMENTS, "prompts", *columns))
    return f"it asks for {', '.join(style.missing)}, and there are {there}"


def with_signature(function: Any, target: str) -> Callable[..., Any]:
    """Return a reward from outside, if it may be one; which columns there are shows later.

    Raises:
        CovlawError: for what is no function, or takes something else.
    """
    if not callable(function):
        raise CovlawError(f"reward {target!r} is {type(function).__name__}, not a function")
    style = style_of(function, ())
    if style.missing and not {"completions", "prompts"} & set(style.wanted):
        raise CovlawError(
            f"reward {target!r} takes {inspect.signature(function)}: it must take "
            f"({', '.join(ARGUMENTS)}), or by these names what it needs of them, of prompts and of "
            "the task's columns"
        )
    return function  # type: ignore[no-any-return]
