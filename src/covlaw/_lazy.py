"""Names of a module that are imported when they are used, and names that are going."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple
from warnings import warn


class Retired(NamedTuple):
    """A public name that goes: it works for one version, with a DeprecationWarning."""

    replacement: str
    """Where the same thing is now, "covlaw.<module>:<name>" or a name of the public face."""
    gone_in: str
    """The first version without the old name."""


def lazy_names(
    module: str, names: Mapping[str, str], retired: Mapping[str, Retired]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Build a module's `__getattr__` and `__dir__` (PEP 562).

    Args:
        module: Its `__name__`.
        names: Public name -> "module" that defines it under the same name, or "module:name".
        retired: Old name -> what to use instead.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name in names:
            value = _load(names[name], name)
            setattr(sys.modules[module], name, value)  # from now on an ordinary attribute
            return value
        if name in retired:
            return _retired(name)
        if not name.startswith("_") and find_spec(f"{module}.{name}"):
            return import_module(f"{module}.{name}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)

    def _retired(name: str) -> Any:
        new, gone_in = retired[name]
        shown = f"{module}.{new}" if new in names else new.replace(":", ".")
        old = f"{module}.{name}"
        warn(f"{old} is now {shown}; {old} goes in {gone_in}", DeprecationWarning, stacklevel=3)
        return __getattr__(new) if new in names else _load(new, name)

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*vars(sys.modules[module]), *names})

    return __getattr__, __dir__


def _load(place: str, name: str) -> Any:
    where, _, attribute = place.partition(":")
    return getattr(import_module(where), attribute or name)
