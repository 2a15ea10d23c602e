"""Checks of settings, before any work; each message names the setting, its value, the remedy."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from covlaw.theory.errors import CovlawError, unknown
from covlaw.theory.scalarizers import SCALARIZERS, Scalarizer

_KINDS: dict[type, tuple[type | tuple[type, ...], str]] = {
    str: (str, 'text, e.g. "base"'),
    float: ((int, float), "a number"),
    tuple: ((tuple, list), 'a list, e.g. ["accuracy", "clarity"]'),
}
"""Type of a setting's default -> (types it may have, how to say so)."""

_NOT_SUPPLIED: dict[str, str] = {
    "gramian": "inner products of the objectives' policy gradients",
    "log_ratio_to_reference": "log-ratios to the reference policy",
    "mask": "advantages that differ from token to token",
    "losses": "one loss an objective",
}
"""Fields of `Batch` and `Observation` that the loop cannot supply or use yet -> what they are."""


def check_kinds(settings: Any) -> None:
    """Refuse values whose type is not that of the dataclass field's default."""
    for setting in fields(settings):
        kinds, wanted = _KINDS.get(type(setting.default), (object, ""))
        value = getattr(settings, setting.name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not object):
            raise CovlawError(f"{setting.name} is {value!r}: use {wanted}")


def check_counts(settings: Any, at_least: Mapping[int, tuple[str, ...]]) -> None:
    """Refuse what is not a whole number, or below the least one."""
    for smallest, names in at_least.items():
        for name in names:
            value = getattr(settings, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
                raise CovlawError(f"{name} is {value!r}: use a whole number ≥ {smallest}")


def check_positive(settings: Any, *names: str) -> None:
    """Refuse numbers that are not finite and > 0."""
    for name in names:
        if not 0 < getattr(settings, name) < float("inf"):
            raise CovlawError(f"{name} is {getattr(settings, name)}: use a finite value > 0")


def check_not_negative(settings: Any, *names: str) -> None:
    """Refuse numbers that are not finite and ≥ 0."""
    for name in names:
        if not 0 <= getattr(settings, name) < float("inf"):
            raise CovlawError(f"{name} is {getattr(settings, name)}: use a finite value ≥ 0")


def check_choices(settings: Any, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse names that are none of the known ones, with the near matches."""
    for name, known in choices.items():
        if getattr(settings, name) not in known:
            raise unknown(name, str(getattr(settings, name)), known)


def check_needs(name: str, scalarizer: Scalarizer[Any]) -> None:
    """Refuse a scalarizer that asks for what the loop cannot supply."""
    missing = sorted((scalarizer.before | scalarizer.after) & _NOT_SUPPLIED.keys())
    if missing:
        wanted = " and ".join(f"{_NOT_SUPPLIED[field]} ({field})" for field in missing)
        raise CovlawError(
            f"scalarizer {name!r} with these options needs {wanted}, which the training loop does "
            "not supply: choose another scalarizer, or other options"
        )


def check_options(options: Any) -> None:
    """Refuse scalarizer options that are no table of tables, and those of an unknown scalarizer."""
    if not isinstance(options, Mapping):
        raise CovlawError(f"options is {options!r}: use a table by scalarizer, e.g. {{ctwa={{}}}}")
    for name, table in options.items():
        if name not in SCALARIZERS:
            raise unknown("scalarizer in options", name, tuple(SCALARIZERS))
        if not isinstance(table, Mapping):
            raise CovlawError(f"options of scalarizer {name!r} are {table!r}: use a table")
