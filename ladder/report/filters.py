"""Numbers and foreign texts as a page shows them."""

import math
import unicodedata

MISSING = "–"
JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need."""


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


def spelled(text: str) -> str:
    """A text whose invisible characters are named, so that none can reorder or hide what is read.

    Control and format characters (Unicode's Cc and Cf, bidirectional overrides among them) become
    ⟨U+202E⟩; line breaks, tabs and joiners stay.
    """
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs")
    if hidden and character not in "\n\t" + JOINERS:
        return f"⟨U+{ord(character):04X}⟩"
    return character
