"""Tables of settings: overridden entry by entry, and completed by the scalarizer's defaults."""

import inspect
from collections.abc import Mapping
from typing import Any

from covlaw.llm.config.algorithms import reopened
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import parse
from covlaw.theory.scalarizers import SCALARIZERS


def merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Override settings; "options.ctwa.target" overrides that entry and leaves its neighbours.

    Raises:
        CovlawError: where a dotted name leads into something that is no table.
    """
    result = reopened(values, overrides)
    for name, value in overrides.items():
        first, *rest = name.split(".", 1)
        table = result.get(first, {})
        if rest and not isinstance(table, Mapping):
            raise CovlawError(f"setting {name!r}: {first!r} is {table!r}, not a table")
        result[first] = merged(table, {rest[0]: value}) if rest else value
    return result


def deep_merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Override settings, tables entry by entry."""
    result = reopened(values, overrides)
    for name, value in overrides.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = deep_merged(result[name], value) if both else value
    return result


def completed(
    options: Mapping[str, Mapping[str, Any]], scalarizer: str
) -> dict[str, dict[str, Any]]:
    """Add the defaults of a scalarizer to its options; None, which TOML lacks, stays out."""
    parameters = list(inspect.signature(SCALARIZERS.find(scalarizer)).parameters.values())[1:]
    shown = parse("scalarizer", scalarizer).name
    full = {p.name: p.default for p in parameters} | dict(options.get(shown, {}))
    given = {name: value for name, value in full.items() if value is not None}
    return {name: dict(table) for name, table in options.items()} | {shown: given}


def by_objective(
    options: Mapping[str, Mapping[str, Any]], scalarizer: str, objectives: tuple[str, ...]
) -> dict[str, Mapping[str, Any]]:
    """Turn a scalarizer's tables by objective, `weights = {accuracy = 2, clarity = 1}`, into lists.

    Raises:
        CovlawError: for an option that names an unknown objective, or leaves one out.
    """
    own = {
        option: _listed(f"options.{scalarizer}.{option}", value, objectives)
        for option, value in options.get(scalarizer, {}).items()
    }
    return {**options, scalarizer: own} if scalarizer in options else dict(options)


def _listed(name: str, value: Any, objectives: tuple[str, ...]) -> Any:
    if not isinstance(value, Mapping):
        return value
    for key in value:
        if key not in objectives:
            raise unknown(f"objective in {name}", str(key), objectives)
    missing = [objective for objective in objectives if objective not in value]
    if missing:
        raise CovlawError(f"{name} has no value for {', '.join(missing)}: give one each")
    return [value[objective] for objective in objectives]
