"""F10: PL is not closed under sums: gradient descent on a sum of PL functions can stay stuck.

f = x² + 3 sin² x has μ ≥ .175 and L = 8; .48·f(x) + .52·f(x − 3) has a spurious minimum (T49).
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, pairwise, product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.pl_rates import classic_rate
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement
from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence._bumpy import BEST, WEIGHTS, total, total_slope
from covlaw.theory.statements.convergence._pl_problems import NO_PL_POLICY
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast

STEPS = 200


class Starts(NamedTuple):
    """Starting points of descent on the sum."""

    x: Tensor
    """(B,)."""


def sides(starts: Starts, _: np.random.Generator) -> Sides:
    """Descent from the spurious minimum's basin: forecast q^T·gap above what is left, or below."""
    return _descend(starts.x, WEIGHTS)


def single_sides(starts: Starts, _: np.random.Generator) -> Sides:
    """Where the claim is true: one of the two functions alone, weights (0, 1)."""
    return _descend(starts.x, (0.0, 1.0))


def _descend(x: Tensor, weights: tuple[float, float]) -> Sides:
    """Forecast: the sum, being PL with μ = .175, has lost its gap after 200 steps at 1/L."""
    # an upper bound on the least value makes the gap no larger than it is
    least = torch.minimum(*(total(x.new_tensor([point]), weights) for point in (BEST, 3.0)))
    gap = total(x, weights) - least
    for _ in range(STEPS):
        x = x - total_slope(x, weights) / bumpy.SMOOTHNESS
    left = total(x, weights) - least
    allowed = classic_rate(bumpy.PL, bumpy.SMOOTHNESS, 1 / bumpy.SMOOTHNESS) ** STEPS * gap
    return Sides(allowed - left, gap, rounding(gap + 100, 64))


def _draw(rng: np.random.Generator, count: int) -> Iterator[Starts]:
    yield Starts(torch.as_tensor(np.append(rng.uniform(0.0, 0.9, count - 1), 0.3835)))


def _cases() -> Iterator[Case]:
    """Even functions of |x| whose derivative is linear between 0, 1 and 2, and of slope e after."""
    for size in count(3):
        for first, second, end in product(range(1, size), repeat=3):
            if first + second + end == size:
                yield {"f'(0), f'(1), f'(2)": (0, first, second), "f'' beyond 2": end, "shift": 3}


def _refute(case: Case) -> Contrast | None:
    """F is PL, f(x) + f(x − 3) is stationary at 3/2 but not minimal there.

    By symmetry the derivative of the sum vanishes at 3/2; its second derivative there is
    2f''(3/2), and where that is negative the point is a strict local maximum.
    """
    _, first, second = case["f'(0), f'(1), f'(2)"]
    bend = Fraction(2 * (second - first))
    modulus = pl_modulus((0, first, second), case["f'' beyond 2"])
    if not (modulus > 0 > bend):
        return None
    remark = f"f is PL with μ = {modulus}; f(x) + f(x − 3) has a strict local maximum at x = 3/2"
    return Contrast(modulus, bend, remark)


def pl_modulus(derivative: tuple[int, int, int], end: int) -> Fraction:
    """Largest μ with f'² ≥ 2μ(f − f(0)) for the even f with this piecewise linear f' on x ≥ 0.

    On a piece of slope k that starts at height F with derivative b, f'² − 2kf is constant, so
    f'²/(2f) = k + (b² − 2kF)/(2f) is monotone and least at an end of the piece.
    """
    pieces = [*pairwise(derivative), (derivative[-1], None)]
    height, ratios = Fraction(0), []
    for start, stop in pieces:
        slope = Fraction(end if stop is None else stop - start)
        if height > 0:
            ratios.append(Fraction(start) ** 2 / (2 * height))
        if stop is None or height == 0:
            ratios.append(slope)  # the limit at infinity, or at the minimum
        if stop is not None:
            height += Fraction(start + stop, 2)
            ratios.append(Fraction(stop) ** 2 / (2 * height))
    return min(ratios)


CLAIM = Claim(
    id="F10",
    sentence="PL is closed under sums: if each objective is PL then so is their sum",
    forecast="PL modulus of f, and of f(x − 3)",
    outcome="second derivative of f(x) + f(x − 3) at its stationary point 3/2",
    order="f'(1) + f'(2) + the slope beyond; f even, f' piecewise linear",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F10",
    title="Objectives that are PL one by one do not add up to a PL sum",
    kind="counterexample",
    formula="f = x² + 3 sin² x (μ ≥ .175), g = .48 f(x) + .52 f(x − 3): descent from x ≈ .38 keeps"
    " a gap of .285 forever",
    latex=r"g=.48f(x)+.52f(x-3):\quad g(x_T)-g^*\ge.285\ \text{ for all } T",
    assumptions=("x_0 in [0, .9], the spurious minimum's basin", "gradient descent at step 1/L"),
    source="ours (T49)",
    needs=Starts,
    sides=sides,
    control=NegativeControl("one of the functions alone, where the claim is true", single_sides),
    ensemble=Ensemble(_draw, 64),
    not_applicable=NO_PL_POLICY,
    explanation="The false claim: since every objective satisfies the PL inequality, gradient"
    " descent on their weighted sum closes the gap geometrically. The counterexample mixes two"
    " shifted copies of one PL function: descent settles in a local minimum and the gap stays at"
    " .285. So a scalarised run can stall although every objective alone would train to its best.",
)
