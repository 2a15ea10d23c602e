"""Numbers as a page shows them."""

import math

MISSING = "–"


def number(value: float | None, digits: int = 4) -> str:
    """A number to some digits, in decimal or exponent notation."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}g}"


def signed(value: float | None, digits: int = 4) -> str:
    """A change: its sign, a fixed number of decimals, a true minus."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:+.{digits}f}".replace("-", "−") if value else "0"
