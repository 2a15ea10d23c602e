"""Packages that only some scalarizers need: imported when one is built."""

from importlib import import_module
from types import ModuleType

from covlaw.theory._numerics.errors import CovlawError


def from_aggregators(module: str, scalarizer: str) -> ModuleType:
    """Import a module of the extra `aggregators`.

    Raises:
        CovlawError: where it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise CovlawError(
            f"scalarizer {scalarizer!r} needs the package {error.name!r}: "
            "pip install 'covlaw[aggregators]'"
        ) from error
