"""E6: under fixed weights every covariance is a row of C times λ, and its sign is a balance."""

import numpy as np
from torch import Tensor

from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
    weights_of,
)
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Derivative of J_j along the tilt by s, against λ_j·Var_j + Σ_{k≠j} λ_k·C_jk."""
    weights, measured, error = _follow(world, rng)
    matrix = _matrix(world)
    own, others = matrix.diagonal() * weights, (matrix - matrix.diag().diag()) @ weights
    return Sides(measured, own + others, error)


def own_variance_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a positive weight lifts its objective by λ_j·Var_j, whatever the rest."""
    weights, measured, error = _follow(world, rng)
    return Sides(measured, _matrix(world).diagonal() * weights, error)


def unweighted_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the others' covariances count in full, whatever their weights."""
    weights, measured, error = _follow(world, rng)
    matrix = _matrix(world)
    return Sides(measured, matrix.sum(1) - matrix.diagonal() * (1 - weights), error)


def _follow(world: World, rng: np.random.Generator) -> Part:
    drawn = rng.dirichlet(np.ones(len(world.names)))
    scalarizer = make_scalarizer("linear", world.names, weights=drawn.tolist())
    _, signal = scalarizer.signal(scalarizer.init(), frozen_batch(world))
    weights = weights_of(signal)
    size = (world.rewards.abs().amax(0) @ weights)[None]
    error = covariance_rounding(world, world.rewards, size)
    return weights, tilted_derivative(world, world.rewards, signal.score, 0.0), error


def _matrix(world: World) -> Tensor:
    mass = world.log_prob_at().exp()
    matrix: Tensor = covariance_matrix(world.rewards, world.prompt, mass, world.prompt_mass)
    return matrix


STATEMENT = Statement(
    id="E6",
    title="With fixed weights an objective falls where the others' covariances outweigh its own",
    explanation="A linear scalarizer trains on s = λ·r with weights λ that never change. To first"
    " order objective j moves by its own variance times its weight, plus its covariances with the"
    " others times theirs. It falls exactly when λ_j·Var_j is less than what the others take away:"
    " a matrix computed from rollouts says before the step which objective a weighting gives up.",
    kind="identity",
    formula="Cov(r_j, λ·r) = (Cλ)_j = λ_j Var_j + Σ_{k≠j} λ_k C_jk;"
    " j falls iff λ_j Var_j < −Σ_{k≠j} λ_k C_jk",
    latex=r"\overline{\mathrm{Cov}}(r_j,\lambda\cdot r)=(C\lambda)_j,\qquad"
    r"\dot J_j<0\iff\lambda_jC_{jj}<-\sum_{k\ne j}\lambda_kC_{jk}",
    assumptions=("fixed weights λ ≥ 0", "step along the tilt (natural gradient), first order"),
    source="ours (bilinearity of the covariance, with T1)",
    needs=World,
    sides=sides,
    control=NegativeControl("the objective's own variance alone", own_variance_sides),
    nearer=(NegativeControl("the others' covariances without their weights", unweighted_sides),),
    ensemble=Ensemble(conflict_worlds, 200),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
