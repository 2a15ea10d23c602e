"""What a plausible claim is to the search: cases from small to large, and both sides exactly."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

Case = Mapping[str, Any]
"""Named rational data of one instance, e.g. {"π": (1/5, 1/5, 3/5), "r": (0, 1, 0)}."""


class Contrast(NamedTuple):
    """Both sides of a refuted claim, exact."""

    forecast: Fraction
    """What the claim promises the sign of."""
    outcome: Fraction
    """What is true."""
    remark: str = ""
    """Anything more that is exactly true of this case."""


@dataclass(frozen=True)
class Claim:
    """A plausible claim that is false; a module holds it beside the statement of its refutation.

    Args:
        id: That of the statement, F1 … F18.
        sentence: The false claim.
        forecast: What `Contrast.forecast` is, e.g. "Cov(r, s)".
        outcome: What `Contrast.outcome` is.
        order: How cases are ordered from small to large, in words.
        cases: Yields cases in that order; endless or not.
        refute: Both sides where the case refutes the claim, else None.
    """

    id: str
    sentence: str
    forecast: str
    outcome: str
    order: str
    cases: Callable[[], Iterator[Case]]
    refute: Callable[[Case], Contrast | None]


class Found(NamedTuple):
    """The smallest case that refutes a claim."""

    claim: Claim
    case: Case
    contrast: Contrast
    searched: int
    """How many cases came before it, itself included."""


def opposed(forecast: Fraction, outcome: Fraction) -> Contrast | None:
    """Keep a pair whose forecast is positive and whose outcome is negative."""
    return Contrast(forecast, outcome) if forecast > 0 > outcome else None
