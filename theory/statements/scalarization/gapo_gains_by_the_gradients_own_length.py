"""E12: GAPO gains every objective at least in proportion to its gradient's length to the power."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
    gradient_operations,
    policy_gradients,
    weights_of,
)
from covlaw.theory.worlds.world import World

POWERS = (0.5, 1.0, 2.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """|d|²·|g_j|^p against ⟨g_j, d⟩·Σ_k λ_k|g_k|^p, d = Σ_k λ_k g_k."""
    return _sides(world, float(rng.choice(POWERS)))


def mgda_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: every objective gains |d|², as under MGDA."""
    return _sides(world, float(rng.choice(POWERS)), claimed=0.0)


def reward_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the same weights raise every objective under the tilt as well."""
    gradients = policy_gradients(world)
    weights, mass = _weights(world, gradients @ gradients.T, 1.0), world.log_prob_at().exp()
    matrix = covariance_matrix(world.rewards, world.prompt, mass, world.prompt_mass)
    row = matrix @ weights
    size = (world.rewards.abs().amax(0) @ weights)[None]
    return Sides(0 * row, row, covariance_rounding(world, world.rewards, size))


def _weights(world: World, gram: Tensor, power: float) -> Tensor:
    scalarizer = make_scalarizer("gapo", world.names, power=power)
    return weights_of(scalarizer.signal(scalarizer.init(), frozen_batch(world, gram))[1])


def _sides(world: World, power: float, claimed: float | None = None) -> Sides:
    gradients = policy_gradients(world)
    weights = _weights(world, gradients @ gradients.T, power)
    direction, norm = weights @ gradients, gradients.norm(dim=1)
    longest = norm.max() if bool(norm.max() > 0) else torch.ones(())
    share = (norm / longest) ** (power if claimed is None else claimed)
    total = weights @ share  # on both sides, for it is 0 where a gradient that is 0 has all weight
    # the solver's gap is rounding of the scaled gradients; undone, of the lengths themselves
    length, shortest = weights @ norm, norm[norm > 0].amin() if bool((norm > 0).any()) else longest
    stretch = (longest / shortest) ** power
    error = rounding(length * (length + norm) * stretch, gradient_operations(world))
    return Sides(direction.dot(direction) * share, gradients @ direction * total, error)


STATEMENT = Statement(
    id="E12",
    title="GAPO gains every objective by its gradient's own length, in the gradients' geometry",
    kind="bound",
    explanation="GAPO divides each objective's gradient by a power of its length before it looks "
    "for the shortest convex combination. Every objective then rises along a plain gradient step, "
    "and not by the same amount, as under MGDA, but at least in proportion to its gradient's "
    "length to that power: an objective with a short gradient no longer slows all the others "
    "down. The promise is MGDA's in one respect: it belongs to the gradients' geometry, and the "
    "same weights under a natural-gradient-like step can lower an objective.",
    formula="⟨g_j, d⟩ ≥ |d|²·|g_j|^p/Σ_k λ_k|g_k|^p for every j, d = Σ_k λ_k g_k,"
    " λ_k ∝ α_k/|g_k|^p, α = argmin over the simplex of |Σ α_k g_k/|g_k|^p|",
    latex=r"\langle g_j,d\rangle\ge\frac{\|d\|^2\,\|g_j\|^p}{\sum_k\lambda_k\|g_k\|^p},\quad "
    r"d=\sum_k\lambda_kg_k,\ \lambda_k\propto\alpha_k\|g_k\|^{-p}",
    assumptions=("gradients of this batch, exact", "plain gradient step, first order"),
    source="ours (the min-norm point); the scalarizer: Li et al. 2025, arXiv:2507.01915",
    needs=World,
    sides=sides,
    control=NegativeControl("the same weights in reward-covariance geometry", reward_sides),
    nearer=(
        NegativeControl("every objective gains |d|², as under MGDA", mgda_sides),
        one_percent_less(sides, "what each objective gains"),
    ),
    ensemble=Ensemble(conflict_worlds, 100),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
