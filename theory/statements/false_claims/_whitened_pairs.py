"""Two objectives under global whitening, y = Cλ/√(λ'Σλ), decided exactly (F8, F9)."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import NamedTuple

from covlaw.theory.statements.false_claims._claim import Case

PRECISION = 50
"""Ray shares tried are multiples of 1/50; everything about a share is decided exactly."""


class Signal(NamedTuple):
    """Exact pieces of y(λ) for two objectives."""

    numerator: tuple[Fraction, Fraction]
    """Cλ."""
    square: Fraction
    """λ'Σλ."""


def small_pairs() -> Iterator[Case]:
    """C = [[1, k], [k, k² + l]] positive definite, Σ = C + diag(b, 0)."""
    sizes = sorted(product(range(1, 31), range(3), range(1, 4)), key=lambda x: (sum(x), x))
    for between, k, extra in sizes:
        yield {"C": ((1, k), (k, k * k + extra)), "B": ((between, 0), (0, 0))}


def signal(case: Case, weights: tuple[Fraction | int, Fraction | int]) -> Signal:
    """Cλ and λ'Σλ at these weights."""
    (a, b), (_, d) = case["C"]
    between = case["B"][0][0]
    first, second = (Fraction(w) for w in weights)
    square = (a + between) * first**2 + 2 * b * first * second + d * second**2
    return Signal((a * first + b * second, b * first + d * second), square)


def best_share(case: Case, target: Fraction) -> tuple[Fraction, Fraction] | None:
    """A share λ₁/(λ₁ + λ₂) with y ≥ c, and min_j (Cλ)_j² − c²·λ'Σλ > 0 there."""
    best: tuple[Fraction, Fraction] | None = None
    for k in range(PRECISION + 1):
        share = Fraction(k, PRECISION)
        numerator, square = signal(case, (share, 1 - share))
        margin = min(y * abs(y) for y in numerator) - target**2 * square
        if margin > 0 and (best is None or margin > best[1]):
            best = (share, margin)
    return best


def second_leads(case: Case) -> bool:
    """(Cλ)₂ ≥ (Cλ)₁ for λ = (1, q), 0 ≤ q ≤ 1: linear in q, so at both ends."""
    ends = (signal(case, (1, q)).numerator for q in (0, 1))
    return all(second >= first for first, second in ends)


def most_on_the_ray(case: Case, target: Fraction) -> Fraction:
    """Largest (Cλ)₁² − c²·λ'Σλ over λ = (1, q), 0 ≤ q ≤ 1: a quadratic in q, so in closed form."""

    def gap(q: Fraction) -> Fraction:
        numerator, square = signal(case, (1, q))
        return numerator[0] ** 2 - target**2 * square

    zero, half, one = gap(Fraction(0)), gap(Fraction(1, 2)), gap(Fraction(1))
    bend, slope = 2 * (zero - 2 * half + one), 4 * half - 3 * zero - one
    top = -slope / (2 * bend) if bend < 0 else Fraction(0)
    return max(zero, one, gap(min(max(top, Fraction(0)), Fraction(1))))
