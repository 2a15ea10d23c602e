"""Whether two written answers mean the same: string, then exact number."""

from fractions import Fraction
import re

_PLAIN = re.compile(r"-?\d{1,40}(\.\d{1,40})?")


def equivalent(answer: str, reference: str) -> bool:
    """Compare as strings, then as exact numbers."""
    if answer == reference:
        return True
    if _PLAIN.fullmatch(answer) and _PLAIN.fullmatch(reference):
        return Fraction(answer) == Fraction(reference)
    return False
