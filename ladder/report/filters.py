"""Numbers as a page shows them."""

import math
import re
from typing import NamedTuple

from covlaw.records.findings import levels

MISSING = "–"
ROUNDING = 1e-12
"""Relative error that is none: every prompt says the same."""
DIGITS = 5
"""Of a value that are shown at most, however small its error."""


class Shown(NamedTuple):
    """An estimate and its standard error, to the same decimals."""

    value: str
    error: str
    """Empty: there is none."""


def number(value: float | None, digits: int = 4) -> str:
    """A number to some digits, in decimal or exponent notation."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}g}"


def ends(start: float, end: float) -> str:
    """Two mean rewards, to the same decimals."""
    return " → ".join(levels([start, end]))


def signed(value: float | None, digits: int = 4) -> str:
    """A change: its sign, a fixed number of decimals, a true minus; 0 where none of them shows."""
    if value is None or not math.isfinite(value):
        return MISSING
    shown = f"{value:+.{digits}f}"
    return shown.replace("-", "−") if float(shown) else "0"


def minus(text: str) -> str:
    """True minus signs before numbers."""
    return re.sub(r"(?<![\w.])-(?=[\d.])", "−", text)


def estimate(value: float | None, error: float | None) -> Shown:
    """An estimate to two digits of its standard error, and to no more than `DIGITS` of its own."""
    if value is None or not math.isfinite(value):
        return Shown(MISSING, "")
    if error is None or not math.isfinite(error) or not error > ROUNDING * abs(value):
        return Shown(f"{value:.3g}".replace("-", "−"), "")
    places = 1 - _exponent(error)
    if value and abs(value) > error:
        places = min(places, DIGITS - 1 - _exponent(value))
    places = max(0, min(8, places))
    own = f"{error:.{places}f}"
    shown = own if float(own) else f"{error:.0e}"
    return Shown(f"{value:.{places}f}".replace("-", "−"), shown)


def change(value: float | None, error: float | None) -> Shown:
    """As `estimate`, with a sign."""
    shown = estimate(value, error)
    plus = "" if shown.value[:1] in (MISSING, "−") else "+"
    return shown._replace(value=plus + shown.value)


def _exponent(value: float) -> int:
    return int(f"{value:.1e}".split("e")[1])
