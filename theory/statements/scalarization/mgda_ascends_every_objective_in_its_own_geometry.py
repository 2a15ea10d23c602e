"""E5: MGDA's direction ascends every objective in the geometry of the gradients it was given."""

import numpy as np

from covlaw.theory.covariance import covariance_matrix
from covlaw.theory.rounding import rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement
from covlaw.theory.statements.scalarization.frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    gradient_operations,
    mgda_weights,
    policy_gradients,
)
from covlaw.theory.statements.support.tolerances import covariance_rounding
from covlaw.theory.worlds import World


def sides(world: World, _: np.random.Generator) -> Sides:
    """|d|² against ⟨g_j, d⟩, d = Σ_k λ_k g_k formed from the gradients themselves."""
    gradients = policy_gradients(world)
    weights = mgda_weights(world, gradients)
    direction = weights @ gradients
    norm = gradients.norm(dim=1)
    length = weights @ norm
    # the solver ends at an optimality gap that is rounding, relative to s(s + |g_j|)
    error = rounding(length * (length + norm), gradient_operations(world))
    return Sides(direction.dot(direction).expand_as(norm), gradients @ direction, error)


def reward_sides(world: World, _: np.random.Generator) -> Sides:
    """The false variant: the same weights ascend every objective under the tilt as well."""
    weights, mass = mgda_weights(world, policy_gradients(world)), world.log_prob_at().exp()
    matrix = covariance_matrix(world.rewards, world.prompt, mass, world.prompt_mass)
    row = matrix @ weights
    size = (world.rewards.abs().amax(0) @ weights)[None]
    return Sides(
        (weights @ row).expand_as(row), row, covariance_rounding(world, world.rewards, size)
    )


STATEMENT = Statement(
    id="E5",
    title="MGDA ascends every objective, but only in the geometry of its own gradients",
    explanation="MGDA weighs the objectives so that the combined gradient d is as short as"
    " possible; then every objective's gradient has an inner product of at least |d|² with d, so a"
    " small plain gradient step lowers none. That promise belongs to the inner product that the"
    " weights were computed with: the same weights used with a natural-gradient step, or read"
    " through reward covariances, can lower an objective (the negative control, and F13).",
    kind="bound",
    formula="|d|² ≤ ⟨g_j, d⟩ for every j, d = Σ_k λ_k g_k, λ = argmin over the simplex of λ'Gλ",
    latex=r"\|d\|^2\le\langle g_j,d\rangle\ \ \forall j,\quad d=\sum_k\lambda_kg_k,\ "
    r"\lambda=\arg\min_{\Delta}\lambda^\top G\lambda",
    assumptions=("gradients of this batch, exact", "plain gradient step, first order"),
    source="known (Désidéri 2012, C. R. Acad. Sci. Paris 350)",
    needs=World,
    sides=sides,
    control=NegativeControl("the same weights in reward-covariance geometry", reward_sides),
    ensemble=Ensemble(conflict_worlds, 150),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
