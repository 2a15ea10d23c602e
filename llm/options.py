"""Tables of settings: overridden entry by entry, and completed by the scalarizer's defaults."""

import inspect
from collections.abc import Mapping
from typing import Any

from covlaw.theory.errors import CovlawError
from covlaw.theory.scalarizers import SCALARIZERS


def merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Override settings; "options.ctwa.target" overrides that entry and leaves its neighbours.

    Raises:
        CovlawError: where a dotted name leads into something that is no table.
    """
    result = dict(values)
    for name, value in overrides.items():
        first, *rest = name.split(".", 1)
        table = result.get(first, {})
        if rest and not isinstance(table, Mapping):
            raise CovlawError(f"setting {name!r}: {first!r} is {table!r}, not a table")
        result[first] = merged(table, {rest[0]: value}) if rest else value
    return result


def completed(
    options: Mapping[str, Mapping[str, Any]], scalarizer: str
) -> dict[str, dict[str, Any]]:
    """Add the defaults of a scalarizer to its options; None, which TOML lacks, stays out."""
    parameters = list(inspect.signature(SCALARIZERS[scalarizer]).parameters.values())[1:]
    full = {p.name: p.default for p in parameters} | dict(options.get(scalarizer, {}))
    given = {name: value for name, value in full.items() if value is not None}
    return {name: dict(table) for name, table in options.items()} | {scalarizer: given}
