"""Rungs: where statements get their instances. Found by entry point, so theory imports none."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import load
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World

Instance = World | Update | InnerStep | TokenTree
"""What a statement is checked on; each statement names the one kind it takes."""

RUNG_NAMES = ("theory", "bandit", "tabular", "transformer", "llm")
OPTIONAL_RUNGS: Mapping[str, str] = {"pretrained": "llm"}
"""Climbed only where they are asked for, since they fetch a model and take minutes; each with the
rung of the same kind, whose reasons why a statement makes no sense there are its own too."""
ALL_RUNGS = (*RUNG_NAMES, *OPTIONAL_RUNGS)


@runtime_checkable
class Rung(Protocol):
    """A source of instances, each kind reproducible from the seed alone."""

    name: str

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        """Yield up to `count` enumerated worlds."""
        ...

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        """Yield up to `count` policy updates."""
        ...

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        """Yield up to `count` clipped inner steps."""
        ...

    def trees(self, rng: np.random.Generator, count: int) -> Iterator[TokenTree]:
        """Yield up to `count` enumerated policies that write token by token."""
        ...

    def default_count(self, kind: type) -> int:
        """How many instances of a kind a default check takes."""
        ...


def load_rung(name: str) -> Rung:
    """Find a rung by name, or import "module:name" or "path/to/file.py:name".

    Raises:
        CovlawError: for an unknown name (with near matches), or when the packages that the rung
            needs are not installed.
    """
    if ":" in name:
        return _rung(load("rung", name), name)
    found = {entry.name: entry for entry in entry_points(group="covlaw.rungs")}
    if name not in found:
        raise unknown("rung", name, (*ALL_RUNGS, *found))
    try:
        rung = found[name].load()
    except ModuleNotFoundError as error:
        raise CovlawError(
            f"rung {name!r} needs the package {error.name!r}: pip install 'covlaw[llm]'"
        ) from error
    return _rung(rung, name)


def _rung(found: Any, name: str) -> Rung:
    if not isinstance(found, Rung):
        raise CovlawError(f"rung {name!r} is {type(found).__name__}, not a Rung: {found!r}")
    return found
