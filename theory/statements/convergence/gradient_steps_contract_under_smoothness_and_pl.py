"""T41: one gradient step multiplies the gap of a smooth PL function by at most a known factor.

δ⁺ ≤ (1 − μγ(2 − Lγ))·δ, and by the improved factor of `pl_rates`, (2L − 2μ)/(2L + μ) at γ = 1/L.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.pl_rates import classic_rate, improved_rate
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.convergence import _bent_valley as bent_valley
from covlaw.theory.statements.convergence import _symbolic_pl as symbolic
from covlaw.theory.statements.convergence._pepit_rates import performance_estimation_rate
from covlaw.theory.statements.convergence._pl_problems import NO_PL_POLICY, PLBatch, draw_problems

STEPS = 3
Rate = Callable[[Tensor, Tensor, Tensor], Tensor]


REMARKED_MU, REMARKED_STEPS = 0.2, (0.5, 1.0, 1.5)
"""Where our factors are shown beside performance estimation's."""


def sides(batch: PLBatch, _: np.random.Generator) -> Sides:
    """The gap after each of three steps, against both factors times the gap before.

    And after one in the bent valley.
    """
    rates = (classic_rate, improved_rate)
    return joined([_contraction(batch, rates), _in_the_bent_valley(rates)])


def flattest_sides(batch: PLBatch, _: np.random.Generator) -> Sides:
    """The false variant: only the flattest direction counts, (1 − μγ)²; a long step overshoots."""
    return joined([_contraction(batch, (lambda mu, _, step: (1 - mu * step).square(),))])


def quadratic_sides(batch: PLBatch, _: np.random.Generator) -> Sides:
    """The false variant: max((1 − μγ)², (1 − Lγ)²), the exact rate of quadratics.

    It is that of strongly convex functions, and of PL functions of one variable, and of sums of
    them, for every γ ≤ 2/L: random problems of that kind cannot refute it. A step that stays on
    its side of the minimisers: there |(√f)'| ≥ √(μ/2) and |f'| ≥ √(2μf), so that √f falls by at
    least μγ√f. One that passes them: from a slope g it takes (√(2g² + 4Lδ) − g)/L at least to reach
    one (f'' = −L, then L), and beyond f ≤ L/2·distance², so that with g² = 2cLδ, c ≤ 1,
    δ⁺/δ ≤ (√c(1 + Lγ) − √(2c + 2))² ≤ (1 − Lγ)². In two variables a gradient can turn: the bent
    valley exceeds it.
    """
    return joined(
        [_contraction(batch, (_quadratic_rate,)), _in_the_bent_valley((_quadratic_rate,))]
    )


def _quadratic_rate(mu: Tensor, smoothness: Tensor, step: Tensor) -> Tensor:
    return torch.maximum((1 - mu * step).square(), (1 - smoothness * step).square())


def _in_the_bent_valley(rates: tuple[Rate, ...]) -> Part:
    """The gap after one step, against each factor times that before."""
    (mu, smoothness), (before, after) = bent_valley.constants(), bent_valley.step()
    factors = [rate(mu, smoothness, bent_valley.STEP / smoothness) for rate in rates]
    predicted = before * torch.stack(factors)
    return after.expand_as(predicted), predicted, rounding(before, 2000).expand_as(predicted)


def classic_sides(batch: PLBatch, _: np.random.Generator) -> Sides:
    """The classic factor alone."""
    return joined([_contraction(batch, (classic_rate,))])


def improved_sides(batch: PLBatch, _: np.random.Generator) -> Sides:
    """The improved factor alone."""
    return joined([_contraction(batch, (improved_rate,))])


def _contraction(batch: PLBatch, rates: tuple[Rate, ...]) -> Part:
    factors = torch.stack([rate(batch.mu, batch.smoothness, batch.step) for rate in rates])
    measured, predicted, tolerance = [], [], []
    x = batch.start
    for _ in range(STEPS):
        new = batch.descend(x)
        reach, before = x.norm(dim=-1), batch.value(x)
        error = batch.value_rounding(new, reach) + batch.value_rounding(x, reach)
        # μ and L come from singular values good to some 100 roundings, and enter at most squared
        error = error + rounding(before, 2000)
        measured.append(batch.value(new).expand(len(rates), *before.shape))
        predicted.append(factors[..., None] * before)
        tolerance.append(error.expand(len(rates), *before.shape))
        x = new
    left, right, error = (torch.stack(part).flatten() for part in (measured, predicted, tolerance))
    return left, right, error


def remarks() -> list[str]:
    """Our factors beside the worst case that performance estimation computes (extra `pepit`)."""
    lines = []
    for step in REMARKED_STEPS:
        ours = f"classic {float(classic_rate(REMARKED_MU, 1.0, step)):.4f}, improved "
        ours += f"{float(improved_rate(REMARKED_MU, 1.0, step)):.4f}"
        lines.append(f"μ = {REMARKED_MU}, L = 1, γ = {step}: {ours}, {_estimated(step)}")
    return lines


def _estimated(step: float) -> str:
    try:
        plain, refined = (
            performance_estimation_rate(REMARKED_MU, 1.0, step, refined)
            for refined in (False, True)
        )
    except CovlawError as error:
        return str(error)
    return f"performance estimation {plain:.4f}, with refined conditions {refined:.4f}"


@cache
def proofs() -> list[Proof]:
    """From quadratic bounds to the interpolation inequality to the rate in each range of γ."""
    return [
        Proof(
            "interpolation inequality: best of the two-sided bounds",
            symbolic.interpolation_residual(),
        ),
        Proof("γ = 1/L: f0 − f1 ≥ |g0|²/(2L) + |g1|²/(4L)", symbolic.descent_residual()),
        Proof("γ = 1/L: PL twice gives (2L − 2μ)/(2L + μ)", symbolic.unit_step_residual()),
        Proof("γ ≤ 1/L: multipliers prove δ⁺ ≤ u²δ", symbolic.short_step_residual()),
        Proof("γ ≤ 1/L: closed form of u", symbolic.short_step_root()),
        Proof("1/L ≤ γ ≤ √3/L: multipliers", symbolic.middle_step_residual()),
        Proof("√3/L ≤ γ ≤ 2/L: multipliers", symbolic.long_step_residual()),
    ]


STATEMENT = Statement(
    id="T41",
    title="A gradient step shrinks the gap of a smooth PL function by at least a known factor",
    kind="bound",
    formula="δ⁺ ≤ (1 − μγ(2 − Lγ)) δ for 0 ≤ γ ≤ 2/L; at γ = 1/L δ⁺ ≤ (2L − 2μ)/(2L + μ) δ,"
    " other γ: improved_rate",
    latex=r"\delta^+ \le \bigl(1-\mu\gamma(2-L\gamma)\bigr)\,\delta,\qquad"
    r"\gamma=\tfrac1L:\ \delta^+\le\frac{2L-2\mu}{2L+\mu}\,\delta",
    assumptions=(
        "f L-smooth (not necessarily convex)",
        "|∇f|² ≥ 2μ(f − f*) everywhere",
        "exact gradients, one step of length 0 ≤ γ ≤ 2/L",
    ),
    source="classic factor: Polyak 1963; improved: Abbaszadehpeivasti, de Klerk & Zamani 2023"
    " (Theorem 3), derived anew for every γ",
    needs=PLBatch,
    sides=sides,
    control=NegativeControl(
        "(1 − μγ)²: the flattest direction's rate, as if none overshot", flattest_sides
    ),
    nearer=(
        NegativeControl("max((1 − μγ)², (1 − Lγ)²): no slower than quadratics", quadratic_sides),
        one_percent_less(classic_sides, "the classic factor"),
        one_percent_less(improved_sides, "the improved factor"),
    ),
    ensemble=Ensemble(draw_problems, 512),
    not_applicable=NO_PL_POLICY,
    proofs=proofs,
    remarks=remarks,
    explanation="δ is the distance of the objective from its best value, L bounds how fast the"
    " gradient changes, and μ says that a gap always comes with a gradient: |∇f|² ≥ 2μδ (the"
    " Polyak–Łojasiewicz inequality, weaker than convexity). Then plain gradient steps of size γ"
    " converge geometrically. The paper's convergence claim rests on the classic factor; the"
    " improved one promises half as much progress again at γ = 1/L and costs nothing. Both are"
    " attained where μ = L. Quadratics of other μ reach max((1 − μγ)², (1 − Lγ)²), and no function"
    " of one variable exceeds it. One of two variables does: its gradient turns away from the"
    " step.",
)
