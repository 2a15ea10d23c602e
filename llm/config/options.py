"""Tables of settings: overridden entry by entry, and completed by the scalarizer's defaults."""

import inspect
from collections.abc import Mapping
from typing import Any

from covlaw.llm.config.algorithms import reopened
from covlaw.llm.config.checks import OF, names_its_own
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import Spec, parse
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


def chosen(
    options: Mapping[str, Mapping[str, Any]], scalarizer: str
) -> tuple[Spec, dict[str, Any]]:
    """What a scalarizer's name stands for, and its options.

    A table that is not named as a scalarizer may name one, `[options.ctwa-fast]` with `scalarizer =
    "ctwa"`: settings that are not the published ones, under a name of their own in every record.
    """
    spec = parse("scalarizer", scalarizer)
    own = dict(options.get(spec.name, {}))
    if names_its_own(spec.name, own) and spec.target == spec.name:
        return Spec(spec.name, str(own.pop(OF))), own
    return spec, own


def completed(
    options: Mapping[str, Mapping[str, Any]], scalarizer: str
) -> dict[str, dict[str, Any]]:
    """Add the defaults of a scalarizer to its options; None, which TOML lacks, stays out."""
    spec, _ = chosen(options, scalarizer)
    parameters = list(inspect.signature(SCALARIZERS.find(spec.target)).parameters.values())[1:]
    full = {p.name: p.default for p in parameters} | dict(options.get(spec.name, {}))
    given = {name: value for name, value in full.items() if value is not None}
    return {name: dict(table) for name, table in options.items()} | {spec.name: given}


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
