"""Checks of settings, before any work; each message names the setting, its value, the remedy."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.scalarizers import SCALARIZERS, Batch, Observation, Scalarizer

_KINDS: dict[type, tuple[type | tuple[type, ...], str]] = {
    str: (str, 'text, e.g. "base"'),
    float: ((int, float), "a number"),
    bool: (bool, "true or false"),
    tuple: ((tuple, list), 'a list, e.g. ["accuracy", "clarity"]'),
}
"""Type of a setting's default -> (types it may have, how to say so)."""

MOST_COUNT = 2**31 - 1
MOST = {"threads": 1024, "audits": 100_000, "seed": 2**63 - 1}
"""Greatest values; the system fails, or worse, beyond a few thousand threads."""

_SUPPLIED = frozenset(Batch._fields + Observation._fields) - {"mass", "prompt_mass"}
"""What the loop gives; probabilities of completions and prompts are known in enumerations only."""


def check_kinds(settings: Any) -> None:
    """Refuse values whose type is not that of the dataclass field's default."""
    for setting in fields(settings):
        kinds, wanted = _KINDS.get(type(setting.default), (object, ""))
        value = getattr(settings, setting.name)
        flag = isinstance(value, bool) and kinds not in (object, bool)
        if flag or not isinstance(value, kinds):
            raise CovlawError(f"{setting.name} is {value!r}: use {wanted}")


def check_texts(name: str, values: tuple[Any, ...]) -> None:
    """Refuse a list that is empty or holds what is no text."""
    if not values or not all(isinstance(value, str) for value in values):
        raise CovlawError(f'{name} is {list(values)!r}: use texts, e.g. ["accuracy", "clarity"]')


def check_counts(settings: Any, at_least: Mapping[int, tuple[str, ...]]) -> None:
    """Refuse what is not a whole number, below the least one, or beyond any machine."""
    for smallest, names in at_least.items():
        for name in names:
            value = getattr(settings, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
                raise CovlawError(f"{name} is {value!r}: use a whole number ≥ {smallest}")
            most = MOST.get(name, MOST_COUNT)
            if value > most:
                raise CovlawError(f"{name} is {value!r}: use at most {most}")


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
    """Refuse a scalarizer that asks for what no sampled run can supply."""
    missing = sorted((scalarizer.before | scalarizer.after) - _SUPPLIED)
    if missing:
        raise CovlawError(
            f"scalarizer {name!r} with these options needs {' and '.join(missing)}, which samples "
            "do not show: choose another scalarizer, or other options"
        )


def check_range(worst: tuple[float, ...], best: tuple[float, ...], objectives: int) -> None:
    """Refuse reward ranges of the wrong number, not finite, or empty."""
    for name, values in (("reward_worst", worst), ("reward_best", best)):
        if len(values) not in (1, objectives) or not all(map(_is_finite, values)):
            raise CovlawError(
                f"{name} is {list(values)}: give one finite number for all {objectives} "
                "objectives, or one each"
            )
    for low, high in zip(*(spread(v, objectives) for v in (worst, best)), strict=True):
        if not low < high:
            raise CovlawError(f"reward_worst {low} is not below reward_best {high}: mend one")


def spread(values: tuple[float, ...], objectives: int) -> tuple[float, ...]:
    """One value an objective from one for all, or one each."""
    return values if len(values) == objectives else values * objectives


def _is_finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -float("inf") < value < float("inf")


OF = "scalarizer"
"""Entry of a table of options that says which scalarizer they are for."""


def names_its_own(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a table of options says itself which scalarizer it is for."""
    return OF in table and name not in SCALARIZERS


def check_options(options: Any, scalarizer: str) -> None:
    """Refuse scalarizer options that are no table of tables, and those of an unknown scalarizer."""
    if not isinstance(options, Mapping):
        raise CovlawError(f"options is {options!r}: use a table by scalarizer, e.g. {{ctwa={{}}}}")
    for name, table in options.items():
        if not isinstance(table, Mapping):
            raise CovlawError(f"options of scalarizer {name!r} are {table!r}: use a table")
        if name != scalarizer and name not in SCALARIZERS and not names_its_own(name, table):
            raise unknown("scalarizer in options", name, (*SCALARIZERS, scalarizer))


def check_table(name: str, value: Any) -> None:
    """Refuse what is no table with text keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise CovlawError(f"{name} is {value!r}: use a table")
