"""How a run names its rewards: "name", "module:function", "file.py:function", "shown=…"."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import CovlawError, unknown

ARGUMENTS = ("completions", "references", "lengths", "state")


class RewardSpec(NamedTuple):
    """One entry of a run's `rewards`."""

    name: str
    """The objective's name in records, options and tables."""
    target: str
    """A registry name, "module:function" or "path/to/file.py:function"."""

    @property
    def own(self) -> bool:
        """Whether it is the user's code, not the registry's."""
        return ":" in self.target

    @property
    def place(self) -> str:
        """Module or file of the user's code."""
        return self.target.rpartition(":")[0]


def parse_reward(entry: str) -> RewardSpec:
    """Read "target" or "name=target"; without a name the target is the name.

    Raises:
        CovlawError: where either side of the sign is empty.
    """
    name, sign, target = entry.partition("=")
    name, target = (name.strip(), target.strip()) if sign else (entry.strip(),) * 2
    if not (name and target):
        raise CovlawError(f"reward {entry!r}: write NAME, module:function or shown=module:function")
    return RewardSpec(name, target)


def find_reward(target: str, registry: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """Find a reward in the registry, or import it and see that it takes the four arguments.

    Raises:
        CovlawError: for an unknown name (with near matches), a module, file or function that is
            missing or fails on import, or a function with another signature.
    """
    if ":" not in target:
        if target not in registry:
            choices = (*registry, "module:function", "path/to/file.py:function")
            raise unknown("reward", target, choices)
        return registry[target]
    place, _, name = target.rpartition(":")
    try:
        module = (
            _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        )
        function = getattr(module, name)
    except Exception as error:  # importing runs the user's code
        reason = f"{type(error).__name__}: {error}"
        raise CovlawError(f"reward {target!r} cannot be imported: {reason}") from error
    return _with_signature(function, target)


def _from_file(path: Path) -> ModuleType:
    """Run a file as a module, once while it is unchanged; modules beside it can be imported."""
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    name = f"covlaw_own_{path.stem}_{abs(hash((path, path.stat().st_mtime_ns)))}"
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # after all others: it hides nothing
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]
    sys.modules[name] = module  # dataclasses and the like look themselves up
    try:
        specification.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _with_signature(function: Any, target: str) -> Callable[..., Any]:
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


def reward_names(entries: Sequence[str]) -> tuple[str, ...]:
    """List the objectives' names of a run's `rewards`."""
    return tuple(parse_reward(entry).name for entry in entries)
