"""Numbers as a page shows them."""

import math

from covlaw.records.findings import levels

MISSING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """A number to some digits, in decimal or exponent notation."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}g}"


def ends(start: float, end: float) -> str:
    """Two mean rewards, to the same decimals."""
    return " → ".join(levels([start, end]))


def signed(value: float | None, digits: int = 4) -> str:
    """A change: its sign, a fixed number of decimals, a true minus."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:+.{digits}f}".replace("-", "−") if value else "0"
