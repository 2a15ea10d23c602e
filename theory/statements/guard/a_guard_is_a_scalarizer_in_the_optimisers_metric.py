"""T59: the guarded step of P Σ λ_k g_k is P Σ (λ + μ)_k g_k, and the weighted gain is |u*|².

Moreau's decomposition: Σ_j λ_j g_j·u* = |u*|² and |u|² = |u*|² + |u − u*|², so it is never longer.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.guard._guard_problems import (
    NO_GRADIENTS_IN_AN_LLM,
    GuardProblem,
    drawn_problem,
)
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Σ λ_j g_j·u* against |u*|²; |u*|² + |u − u*|² against |u|²; u* against its weights λ + μ."""
    problem, share = _weighted_step(world, rng)
    return _decomposed(problem, problem, share)


def plain_metric_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: projected in the plain metric, as a guard that ignores the optimiser."""
    problem, share = _weighted_step(world, rng)
    return _decomposed(problem, problem._replace(metric=torch.ones_like(problem.metric)), share)


def _weighted_step(world: World, rng: np.random.Generator) -> tuple[GuardProblem, Tensor]:
    """The step P Σ λ_k g_k, one weight often much larger than the others, and λ (M,)."""
    drawn = drawn_problem(world, rng)
    share = torch.as_tensor(10 ** rng.uniform(-1.5, 0.5, size=len(drawn.gradients)))
    return drawn._replace(step=drawn.metric * (share @ drawn.gradients)), share


def _decomposed(problem: GuardProblem, projected: GuardProblem, share: Tensor) -> Sides:
    """Both identities in the metric of `problem`, of the step corrected in that of `projected`."""
    weights = projected.solve(torch.zeros_like(share)).weights
    moved = projected.moved(weights)
    gain, length = share @ problem.effects(moved), problem.length(moved)
    total = length + problem.length(problem.step - moved)
    as_weights = problem.length(problem.metric * ((share + weights) @ problem.gradients))
    doubt = (share + weights) @ problem.effect_rounding(weights)
    doubt = doubt + problem.length_rounding(weights + share)
    measured = torch.stack([gain, total, as_weights])
    predicted = torch.stack([length, problem.length(problem.step), length])
    return Sides(measured, predicted, 2 * doubt.expand(3))


STATEMENT = Statement(
    id="T59",
    title="A guard is a scalarizer that adds just enough weight, in the optimiser's own metric",
    explanation="Where the optimiser's step is its metric P times a weighted sum of the objectives'"
    " gradients, the guarded step is the same sum with weights λ + μ: a guard is a scalarizer, the"
    " one that raises the weights of those who would fall by just enough. What it costs follows:"
    " the weighted gain is the squared length of what is left of the step, never negative, and the"
    " step never gets longer. All in the metric that the optimiser really uses; projected in the"
    " plain metric instead, AdamW's step can lose an objective that the guard believes safe.",
    kind="identity",
    formula="u = P Σ λ_k g_k, b = 0: Σ λ_j g_j·u* = |u*|², |u|² = |u*|² + |u − u*|²,"
    " u* = P Σ (λ + μ)_k g_k",
    latex=r"\sum_j\lambda_jg_j\cdot u^*=|u^*|^2,\quad|u|^2=|u^*|^2+|u-u^*|^2,\quad "
    r"u^*=P\sum_k(\lambda+\mu)_kg_k",
    assumptions=("floors 0", "the step is P times a weighted sum of gradients, λ ≥ 0", "P > 0"),
    source="ours; Moreau 1962",
    needs=World,
    sides=sides,
    control=NegativeControl("the plain metric instead of the optimiser's", plain_metric_sides),
    not_applicable={"llm": NO_GRADIENTS_IN_AN_LLM},
)
