"""Kinds of values in a record: each is a check that names the field that is wrong."""

import math
from collections.abc import Callable, Mapping
from typing import Any

LARGEST = 2**53
"""Whole numbers beyond it are none that a run counts."""


class WrongFieldError(Exception):
    """A field does not hold what its kind says; the message names both."""


Kind = Callable[[Any, str, int], None]
"""(value, its place, e.g. "audits[0].law.se", number of objectives): raises WrongFieldError."""


def anything(value: Any, place: str, size: int) -> None:
    """Whatever JSON can say."""


def number(value: Any, place: str, size: int) -> None:
    """A number; null where it is not known."""
    if value is None:
        return
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or abs(value) > 1e308 or not math.isfinite(value):
        _wrong(place, value, "a finite number or null")


def count(value: Any, place: str, size: int) -> None:
    """A whole number ≥ 0."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        _wrong(place, value, "a whole number ≥ 0")


def text(value: Any, place: str, size: int) -> None:
    """A string."""
    if not isinstance(value, str):
        _wrong(place, value, "a text")


def truth(value: Any, place: str, size: int) -> None:
    """True or false."""
    if not isinstance(value, bool):
        _wrong(place, value, "true or false")


def names(value: Any, place: str, size: int) -> None:
    """At least one name, none twice."""
    _is(list, value, place, "a list of names")
    for k, name in enumerate(value):
        text(name, f"{place}[{k}]", size)
    if not value or len(set(value)) < len(value):
        _wrong(place, value, "different names, at least one")


def exactly(*wanted: Any) -> Kind:
    """One of some values."""

    def check(value: Any, place: str, size: int) -> None:
        if isinstance(value, bool) or value not in wanted:
            _wrong(place, value, " or ".join(map(repr, wanted)))

    return check


def maybe(kind: Kind) -> Kind:
    """Null, or a kind."""

    def check(value: Any, place: str, size: int) -> None:
        if value is not None:
            kind(value, place, size)

    return check


def listed(kind: Kind) -> Kind:
    """A list of any length."""

    def check(value: Any, place: str, size: int) -> None:
        _is(list, value, place, "a list")
        for k, entry in enumerate(value):
            kind(entry, f"{place}[{k}]", size)

    return check


def vector(value: Any, place: str, size: int) -> None:
    """A number an objective."""
    plain = isinstance(value, list) and set(map(type, value)) == {float}
    if not (plain and all(map(math.isfinite, value))):  # nearly always it is: soon done
        listed(number)(value, place, size)
    if len(value) != size:
        raise WrongFieldError(f"{place} has {len(value)} entries for {size} objectives")


def mapped(kind: Kind) -> Kind:
    """An object whose values are of one kind."""

    def check(value: Any, place: str, size: int) -> None:
        _is(dict, value, place, "an object")
        for name, entry in value.items():
            kind(entry, f"{place}.{name}", size)

    return check


def table(required: Mapping[str, Kind], optional: Mapping[str, Kind] | None = None) -> Kind:
    """An object with some fields; others that stand beside them are left alone.

    Fields are checked in the order given. `objectives`, where it is one, says how long the vectors
    after it are.
    """
    known = {**required, **(optional or {})}

    def check(value: Any, place: str, size: int) -> None:
        _is(dict, value, place, "an object")
        before = f"{place}." if place else ""
        for name, kind in known.items():
            if name in value:
                kind(value[name], before + name, size)
            elif name in required:
                raise WrongFieldError(f"{before}{name} is missing")
            if name == "objectives":
                size = len(value[name])

    return check


def _is(kind: type, value: Any, place: str, words: str) -> None:
    if not isinstance(value, kind):
        _wrong(place or "the record", value, words)


def _wrong(place: str, value: Any, wanted: str) -> None:
    shown = ascii(value)
    shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
    raise WrongFieldError(f"{place} is {shown}, not {wanted}")
