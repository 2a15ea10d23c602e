"""E5: min-norm weights raise every objective in the geometry that they were computed in."""

import numpy as np

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.scalarization._covariance_weights import covariance_parts
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    gradient_operations,
    mgda_weights,
    policy_gradients,
)
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """|d|² against ⟨g_j, d⟩, d = Σ_k λ_k g_k itself; headroom against covariances."""
    gradients = policy_gradients(world)
    weights = mgda_weights(world, gradients)
    direction = weights @ gradients
    norm = gradients.norm(dim=1)
    length = weights @ norm
    # the solver ends at an optimality gap that is rounding, relative to s(s + |g_j|)
    error = rounding(length * (length + norm), gradient_operations(world))
    own = (direction.dot(direction).expand_as(norm), gradients @ direction, error)
    return joined([own, *covariance_parts(world, rng)])


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
    title="MGDA ascends every objective, but only in the geometry its weights were computed in",
    explanation="MGDA weighs the objectives so that the combined gradient d is as short as"
    " possible; then every objective's gradient has an inner product of at least |d|² with d, so a"
    " small plain gradient step lowers none. That promise belongs to the inner product that the"
    " weights were computed with: the same weights used with a natural-gradient step, or read"
    " through reward covariances, can lower an objective (the negative control, and F13)."
    " Covariance-MGDA computes its weights in that geometry, from the rewards of the rollouts"
    " alone: under them every covariance is at least the headroom that it reports.",
    kind="bound",
    formula="|d|² ≤ ⟨g_j, d⟩ for every j, d = Σ_k λ_k g_k, λ = argmin over the simplex of λ'Gλ;"
    " covariance-MGDA: min λ'Cλ ≤ Cov(r_j, λ·r), min E_x sd_x(λ·r) ≤ Cov(r_j, Ahat)",
    latex=r"\|d\|^2\le\langle g_j,d\rangle\ \ \forall j,\quad d=\sum_k\lambda_kg_k,\ "
    r"\lambda=\arg\min_{\Delta}\lambda^\top G\lambda;\qquad"
    r"\min_\Delta\lambda^\top C\lambda\le\overline{\mathrm{Cov}}(r_j,\lambda\cdot r)",
    assumptions=(
        "gradients of this batch, exact",
        "plain gradient step (MGDA) or tilt (covariance-MGDA), first order",
        "objectives that vary; normalised by the prompts' std: C_x = 0 or no constant bundle (T35)",
    ),
    source="known (Désidéri 2012, C. R. Acad. Sci. Paris 350); in reward covariances ours",
    needs=World,
    sides=sides,
    control=NegativeControl("the same weights in reward-covariance geometry", reward_sides),
    nearer=(one_percent_less(sides, "what each objective gains"),),
    ensemble=Ensemble(conflict_worlds, 100),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
