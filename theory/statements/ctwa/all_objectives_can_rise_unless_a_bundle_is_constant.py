"""T30: weights that raise every objective exist iff no bundle of objectives is constant.

∃λ ≥ 0: Cλ > 0 ⇔ no μ ≥ 0, μ ≠ 0 with Cμ = 0 ⇔ v* = min over the simplex of λ'Cλ > 0.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements.base import Ensemble, NegativeControl, Proof, Sides, Statement
from covlaw.theory.statements.ctwa._feasibility import max_margin
from covlaw.theory.statements.ctwa._problems import (
    as_problems,
    correlations,
    draw_problems,
    with_dependent_objective,
)
from covlaw.theory.worlds.world import World


class Decision(NamedTuple):
    """What both programmes say of each problem, and where rounding lets them decide: (B,)."""

    by_margin: Tensor
    by_norm: Tensor
    regular: Tensor
    """Whether C is non-singular beyond rounding."""
    decided: Tensor


def decide(problems: PromptCovariances) -> Decision:
    """Linear programme against min-norm.

    Rounding leaves `noise` of a vanishing v*. As V ≤ √(v* max C_jj), a margin above
    √(2·noise) proves v* > noise, and one below proves v* no larger than itself: problems with v*
    between the two are borderline, and left out.
    """
    matrix, _, noise = correlations(problems)
    game, least = max_margin(matrix), min_norm_point(matrix).value
    cut = (2 * noise).sqrt()
    regular = torch.linalg.eigvalsh(matrix)[..., 0] > cut
    decided = (least <= noise) | (least > cut + (game.upper - game.value))
    return Decision(game.value > cut, least > noise, regular, decided)


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """1 where the linear programme finds Cλ > 0, against 1 where the min-norm value is positive."""
    del rng
    found = decide(with_dependent_objective(as_problems(instance)))
    return _indicators(found.by_margin, found.by_norm, found.decided)


def regular_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: any null vector of C forbids it, not only one of a single sign."""
    del rng
    found = decide(with_dependent_objective(as_problems(instance)))
    return _indicators(found.by_margin, found.regular, found.decided)


def _indicators(measured: Tensor, predicted: Tensor, decided: Tensor) -> Sides:
    one, other = (t[decided].to(torch.float64) for t in (measured, predicted))
    return Sides(one, other, torch.zeros_like(one))


@cache
def proofs() -> list[Proof]:
    """The two ingredients, for M = 2 and 3 with C = R'R."""
    from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic

    return [
        proof
        for count in (2, 3)
        for proof in (
            Proof(f"M = {count}: λ'Cμ = 0 for all λ once Cμ = 0", symbolic.farkas_residual(count)),
            Proof(
                f"M = {count}: V² ≤ v* C_jj: (Cμ)_j² + Gram determinant − C_jj μ'Cμ = 0",
                symbolic.margin_residual(count),
            ),
        )
    ]


STATEMENT = Statement(
    id="T30",
    title="Every objective can be raised at once unless some bundle of them is constant",
    kind="identity",
    formula="∃λ ≥ 0: Cλ > 0 ⇔ no μ ≥ 0, μ ≠ 0 with Cμ = 0 ⇔ min over the simplex of λ'Cλ > 0;"
    " quantitatively v* ≤ V ≤ √(v* max_j C_jj)",
    latex=r"\exists\lambda\ge0:\ C\lambda>0 \iff v^*=\min_{\lambda\in\Delta}\lambda'C\lambda>0",
    assumptions=(
        "C = E_x Cov_x(r), the mean within-prompt covariance matrix of the M rewards",
        "λ, μ ≥ 0; first order in the step",
        "compared where v* is 0 to rounding, or above the margin that rounding allows",
    ),
    source="ours; Farkas' lemma and the min-norm duality of MGDA (Désidéri 2012)",
    explanation="λ are the weights with which the rewards are added up, and (Cλ)_j is how fast "
    "reward j then moves. Some weights improve every reward at once, to first order, exactly when "
    "no mix of the rewards is constant on every prompt. A reward and its negative are such a mix; "
    "a reward entered twice is not. Only then must someone be sacrificed.",
    needs=World,
    sides=sides,
    control=NegativeControl("a null vector of any signs forbids it: C singular", regular_sides),
    ensemble=Ensemble(draw_problems, 210),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)
