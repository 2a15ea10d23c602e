"""F8, F9: weights adapted to covariance targets under global whitening, y = Cλ/√(λ'Σλ)."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import NamedTuple

from covlaw.theory.counterexamples.claim import Case, Claim, Contrast

PRECISION = 50
"""Ray shares tried are multiples of 1/50; everything about a share is decided exactly."""


class _Signal(NamedTuple):
    """Exact pieces of y(λ) for two objectives."""

    numerator: tuple[Fraction, Fraction]
    """Cλ."""
    square: Fraction
    """λ'Σλ."""


def _matrices() -> Iterator[Case]:
    """C = [[1, k], [k, k² + l]] positive definite, Σ = C + diag(b, 0)."""
    sizes = sorted(product(range(1, 31), range(3), range(1, 4)), key=lambda x: (sum(x), x))
    for between, k, extra in sizes:
        yield {"C": ((1, k), (k, k * k + extra)), "B": ((between, 0), (0, 0))}


def _signal(case: Case, weights: tuple[Fraction | int, Fraction | int]) -> _Signal:
    (a, b), (_, d) = case["C"]
    between = case["B"][0][0]
    first, second = (Fraction(w) for w in weights)
    square = (a + between) * first**2 + 2 * b * first * second + d * second**2
    return _Signal((a * first + b * second, b * first + d * second), square)


def _targets() -> Iterator[Case]:
    for case in _matrices():
        for twentieths in (8, 10, 6, 12, 4):
            yield {**case, "c": (Fraction(twentieths, 20),) * 2, "λ_0": (1, 1)}


def _diverges(case: Case) -> Contrast | None:
    """Feasible, and yet λ₁ grows for ever.

    Let q = λ₂/λ₁. If y₂ ≥ y₁ everywhere on 0 ≤ q ≤ 1, then q never grows (u₁ rises at least as
    fast as u₂), so it stays in [0, 1]; if also y₁ < c on all of [0, 1], u₁ rises for ever at a
    rate bounded from below. Both are polynomial inequalities in q, decided exactly.
    """
    target = case["c"][0]
    reached = _best_share(case, target)
    if reached is None or not _second_leads(case):
        return None
    worst = _most_on_the_ray(case, target)
    if worst >= 0:
        return None
    share, margin = reached
    remark = f"λ = ({share}, {1 - share}) reaches both targets; from λ_0 = (1, 1) λ₁/λ₂ only grows"
    return Contrast(margin, worst, remark)


def _best_share(case: Case, target: Fraction) -> tuple[Fraction, Fraction] | None:
    """A share λ₁/(λ₁ + λ₂) with y ≥ c, and min_j (Cλ)_j² − c²·λ'Σλ > 0 there."""
    best: tuple[Fraction, Fraction] | None = None
    for k in range(PRECISION + 1):
        share = Fraction(k, PRECISION)
        numerator, square = _signal(case, (share, 1 - share))
        margin = min(y * abs(y) for y in numerator) - target**2 * square
        if margin > 0 and (best is None or margin > best[1]):
            best = (share, margin)
    return best


def _second_leads(case: Case) -> bool:
    """(Cλ)₂ ≥ (Cλ)₁ for λ = (1, q), 0 ≤ q ≤ 1: linear in q, so at both ends."""
    ends = (_signal(case, (1, q)).numerator for q in (0, 1))
    return all(second >= first for first, second in ends)


def _most_on_the_ray(case: Case, target: Fraction) -> Fraction:
    """Largest (Cλ)₁² − c²·λ'Σλ over λ = (1, q), 0 ≤ q ≤ 1: a quadratic in q, so in closed form."""

    def gap(q: Fraction) -> Fraction:
        numerator, square = _signal(case, (1, q))
        return numerator[0] ** 2 - target**2 * square

    zero, half, one = gap(Fraction(0)), gap(Fraction(1, 2)), gap(Fraction(1))
    bend, slope = 2 * (zero - 2 * half + one), 4 * half - 3 * zero - one
    top = -slope / (2 * bend) if bend < 0 else Fraction(0)
    return max(zero, one, gap(min(max(top, Fraction(0)), Fraction(1))))


def _weights() -> Iterator[Case]:
    for case in _matrices():
        for share in range(1, 10):
            yield {**case, "λ": (Fraction(share, 10), Fraction(10 - share, 10))}


def _gain(case: Case) -> Contrast | None:
    """(λ'Σλ)^{3/2}·dy₁/dλ₁ = C₁₁·λ'Σλ − (Cλ)₁(Σλ)₁ (T38)."""
    weights, c11 = case["λ"], case["C"][0][0]
    numerator, square = _signal(case, weights)
    pushed = numerator[0] + case["B"][0][0] * weights[0]
    gain = c11 * square - numerator[0] * pushed
    return Contrast(Fraction(c11), gain) if gain < 0 else None


CLAIMS = (
    Claim(
        "F8",
        "Feasible targets make CTWA converge",
        "min_j (Cλ)_j² − c²·λ'Σλ at some λ: > 0, so the targets are feasible",
        "max over CTWA's whole path of (Cλ)₁² − c²·λ'Σλ: < 0, so λ₁ grows for ever",
        "sum of the entries of B and C, then the target; 2 objectives, globally whitened",
        _targets,
        _diverges,
    ),
    Claim(
        "F9",
        "Raising an objective's weight raises its covariance with the advantage",
        "C₁₁, the sign of the effect without whitening",
        "(λ'Σλ)^{3/2}·dy₁/dλ₁ under global whitening",
        "sum of the entries of B and C, then λ₁ in tenths; 2 objectives",
        _weights,
        _gain,
    ),
)
