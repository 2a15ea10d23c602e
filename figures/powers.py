"""Labels of logarithmic axes without mathematical markup, which the house style switches off."""

import math

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float, _: float | None = None) -> str:
    """Return "10⁻³" for 0.001: a tick's label, also as a formatter of an axis."""
    return f"10{str(round(math.log10(value))).translate(RAISED)}"
