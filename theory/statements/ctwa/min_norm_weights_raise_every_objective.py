"""T31: the min-norm weights raise every objective by at least v*; a larger least gain may exist.

(Cλ*)_j ≥ v*, with equality on the support; v* ≤ V ≤ √(v* max_j C_jj), V the matrix-game value.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import MinNorm, min_norm_point
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements.base import Ensemble, NegativeControl, Proof, Sides, Statement, joined
from covlaw.theory.statements.ctwa._feasibility import Game, max_margin
from covlaw.theory.statements.ctwa._problems import (
    as_problems,
    draw_problems,
    with_dependent_objective,
)
from covlaw.theory.worlds.world import World


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """v* under every gain; weight times excess gain under 0; v* under V under √(v* max C)."""
    del rng
    within = with_dependent_objective(as_problems(instance)).within()
    found, game = min_norm_point(within), max_margin(within)
    gain = (within @ found.weights[..., None])[..., 0]
    error, size = gain_rounding(within, found.weights)
    excess = found.weights * (gain - found.value[:, None])
    least = found.value[:, None].expand_as(gain)
    ceiling = ((found.value + error.amax(1)).clamp(min=0.0) * size.amax(1).square()).sqrt()
    return joined(
        [
            (least.flatten(), gain.flatten(), error.flatten()),
            (excess.flatten(), torch.zeros_like(excess).flatten(), error.flatten()),
            (found.value, game.upper, error.amax(1)),
            (game.value, ceiling, error.amax(1)),
        ]
    )


def equal_value_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: no weights on the simplex have a larger least gain than λ*, V ≤ v*."""
    del rng
    within = with_dependent_objective(as_problems(instance)).within()
    found, game = _both(within)
    return Sides(game.value, found.value, gain_rounding(within, found.weights)[0].amax(1))


def larger_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: every objective gains 1 % more than v*."""
    del rng
    within = with_dependent_objective(as_problems(instance)).within()
    found = min_norm_point(within)
    gain = (within @ found.weights[..., None])[..., 0]
    floor = 1.01 * found.value[:, None].expand_as(gain)
    return Sides(floor, gain, gain_rounding(within, found.weights)[0])


def _both(within: Tensor) -> tuple[MinNorm, Game]:
    return min_norm_point(within), max_margin(within)


def gain_rounding(within: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Bound the error of (Cλ*)_j − v* (B, M): the certificate's scale s(s + √C_jj); and √C_jj."""
    size = within.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
    length = (weights * size).sum(-1, keepdim=True)
    return rounding(length * (length + size), 16 * size.shape[-1] + 64), size


@cache
def proofs() -> list[Proof]:
    """The optimality conditions suffice, for M = 2 and 3."""
    from covlaw.theory.statements.ctwa import _symbolic_ctwa as symbolic

    claim = "μ'Cμ − λ'Cλ − 2(μ − λ)'Cλ − |R(μ − λ)|² = 0: (Cλ)_j ≥ λ'Cλ suffices"
    return [Proof(f"M = {m}: {claim}", symbolic.kkt_residual(m)) for m in (2, 3)]


STATEMENT = Statement(
    id="T31",
    title="The min-norm weights raise every objective, the least by exactly the min-norm value",
    kind="bound",
    formula="λ* = argmin over the simplex of λ'Cλ: (Cλ*)_j ≥ v*, equality where λ*_j > 0;"
    " v* ≤ V = max over the simplex of min_j (Cλ)_j ≤ √(v* max_j C_jj)",
    latex=r"(C\lambda^*)_j \ge v^*=\min_{\lambda\in\Delta}\lambda'C\lambda,\quad "
    r"v^*\le \max_{\lambda\in\Delta}\min_j (C\lambda)_j\le\sqrt{v^*\max_j C_{jj}}",
    assumptions=("C = E_x Cov_x(r)", "λ on the simplex"),
    source="known (MGDA: Désidéri 2012) in the geometry of reward covariances; bounds of V ours",
    explanation="λ* are the weights whose mixed reward varies least within a prompt. With them "
    "every reward moves up at least as fast as v*, that smallest variance, and no gradient is "
    "needed to find them: the rewards of the rollouts suffice. They are not the weights that help "
    "the worst-off reward most: for C = [[1, 2], [2, 5]] they gain it 1, other weights gain it 2.",
    needs=World,
    sides=sides,
    control=NegativeControl(
        "no weights help the worst-off objective more: V ≤ v*", equal_value_sides
    ),
    nearer=(NegativeControl("every objective gains 1 % more than v*", larger_sides),),
    ensemble=Ensemble(draw_problems, 210),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)
