"""Open registries: what is found by name may come from outside the package.

A name is one of ours, or an entry point of an installed package (a group each, e.g.
`covlaw.scalarizers`), or a place: "module:name" or "path/to/file.py:name", any of them after
"shown=", which is what records and tables then call it.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.sources import first_line

T = TypeVar("T")
PLACES = ("module:name", "path/to/file.py:name")


class Spec(NamedTuple):
    """What an entry such as "clear=my.py:clarity" names."""

    name: str
    """In records, options and tables."""
    target: str
    """A name of the registry, "module:name" or "path/to/file.py:name"."""

    @property
    def own(self) -> bool:
        """Whether it is the user's code, not the registry's."""
        return ":" in self.target

    @property
    def place(self) -> str:
        """Module or file of the user's code."""
        return self.target.rpartition(":")[0]


class Listed(NamedTuple):
    """A line of a listing."""

    name: str
    about: str
    """First line of its docstring."""
    source: str
    """The distribution that it comes from."""


def parse(what: str, entry: str) -> Spec:
    """Read "target" or "shown=target"; without a shown name the target is the name.

    Raises:
        CovlawError: where either side of the sign is empty.
    """
    name, sign, target = entry.partition("=")
    name, target = (name.strip(), target.strip()) if sign else (entry.strip(),) * 2
    if not (name and target):
        raise CovlawError(f"{what} {entry!r}: write NAME, module:name or shown=module:name")
    return Spec(name, target)


def load(what: str, target: str) -> Any:
    """Import "module:name" or "path/to/file.py:name"; a file runs once while it is unchanged.

    Raises:
        CovlawError: for a module, file or name that is missing or fails on import.
    """
    place, _, name = target.rpartition(":")
    try:
        module = (
            _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
        )
        return getattr(module, name)
    except Exception as error:  # importing runs the user's code
        reason = f"{type(error).__name__}: {error}"
        raise CovlawError(f"{what} {target!r} cannot be imported: {reason}") from error


class Registry(Mapping[str, T]):
    """Name -> object, each imported when it is asked for.

    Args:
        what: What it holds, in messages, e.g. "scalarizer".
        group: Entry-point group of what other packages add.
        own: Name -> "module:name" of ours; an entry point of the same name is ignored.
        check: Takes an object from outside and its target, returns it or raises CovlawError.
    """

    def __init__(
        self,
        what: str,
        group: str,
        own: Mapping[str, str],
        check: Callable[[Any, str], T] | None = None,
    ) -> None:
        self.what, self.group, self._own, self._check = what, group, own, check
        self._found: dict[str, T] = {}

    def find(self, entry: str) -> T:
        """Find by name, or import from a place.

        Raises:
            CovlawError: for an unknown name (with near matches), what cannot be imported, or what
                is no such thing.
        """
        target = parse(self.what, entry).target
        if ":" in target:
            return self._checked(load(self.what, target), target)
        if target not in self:
            raise unknown(self.what, target, (*self, *PLACES))
        return self[target]

    def listed(self) -> Iterator[Listed]:
        """Every name with a line about it, read without importing anything."""
        for name, place in self._own.items():
            yield Listed(name, first_line(place), "covlaw")
        for name, entry in self._outside().items():
            source = entry.dist.name if entry.dist else entry.value
            yield Listed(name, first_line(entry.value), source)

    def __getitem__(self, name: str) -> T:
        if name not in self._found:
            if name in self._own:
                module, _, attribute = self._own[name].partition(":")
                self._found[name] = getattr(importlib.import_module(module), attribute)
            else:
                target = self._outside()[name].value
                self._found[name] = self._checked(load(self.what, target), target)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._outside()

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._outside()

    def __len__(self) -> int:
        return len(self._own) + len(self._outside())

    def _outside(self) -> dict[str, EntryPoint]:
        found = _entry_points(self.group, tuple(sys.path))
        return {name: entry for name, entry in found.items() if name not in self._own}

    def _checked(self, found: Any, target: str) -> T:
        return self._check(found, target) if self._check else found


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Entry points of a group, sought once for each search path."""
    del path
    return {entry.name: entry for entry in entry_points(group=group)}


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
