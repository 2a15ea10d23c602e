"""E9: GDPO lowers an objective exactly where its correlations with the others outweigh its own."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.prompt_covariances import prompt_covariances
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.z_scores import (
    deviations,
    in_own_units,
    inverse_deviations,
    z_rounding,
)
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
)
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Derivative of J_j along GDPO's advantage, against E_x sd_j·Σ_k w_k·corr_jk, whitened."""
    world = in_own_units(world, rng)
    weights = _weights(world, rng)
    correlation, outer = _correlations(world)
    row = deviations(world) * (correlation @ weights)
    return Sides(*_against(world, weights, outer @ row))


def own_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: an objective gains its own weight times its std, whatever the rest."""
    world = in_own_units(world, rng)
    weights = _weights(world, rng)
    return Sides(*_against(world, weights, _correlations(world)[1] @ deviations(world) * weights))


def linear_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the rows of C decide, as under `linear` with the same weights."""
    world = in_own_units(world, rng)
    weights = _weights(world, rng)
    spread = deviations(world)
    correlation, outer = _correlations(world)
    matrix = spread[:, :, None] * correlation * spread[:, None, :]
    return Sides(*_against(world, weights, outer @ (matrix @ weights)))


def _weights(world: World, rng: np.random.Generator) -> Tensor:
    return torch.as_tensor(rng.dirichlet(np.ones(len(world.names))))


def _correlations(world: World) -> tuple[Tensor, Tensor]:
    """corr_x(r_j, r_k) (P, M, M), 0 of constant rewards, and D(x) (P,)."""
    mass, unit = world.log_prob_at().exp(), inverse_deviations(world)
    moments = prompt_covariances(world.rewards, world.prompt, mass, world.prompt_mass)
    return unit[:, :, None] * moments.matrices * unit[:, None, :], moments.prompt_mass


def _against(world: World, weights: Tensor, row: Tensor) -> Part:
    """The measured derivative, the row over the advantage's root mean square, and the rounding."""
    scalarizer = make_scalarizer("gdpo", world.names, weights=weights.tolist())
    advantage = scalarizer.signal(scalarizer.init(), frozen_batch(world))[1].score
    correlation, outer = _correlations(world)
    factor = (outer @ (correlation @ weights) @ weights).clamp(min=0).sqrt()
    still = factor == 0
    error = z_rounding(world) * torch.where(still, 1.0, 1 / factor + 1 / factor**2)
    measured = tilted_derivative(world, world.rewards, advantage, 0.0)
    return measured, row / torch.where(still, 1.0, factor), error


STATEMENT = Statement(
    id="E9",
    title="GDPO lowers whoever its correlations with the others oppose",
    kind="identity",
    explanation="Under GDPO an objective moves by its standard deviation times the weighted sum "
    "of its correlations with all objectives, its own being 1. In a prompt it falls exactly where "
    "its weight is less than what the others' weights times their negative correlations come to; "
    "scales have no say, correlations do. The division by the batch's root mean square is one "
    "factor for all. With two objectives of equal weight none falls (T54), with three one may "
    "(F17).",
    formula="dJ_j = E_x sd_j·Σ_k w_k·corr_jk / √(E_x w'·corr·w); one prompt: J_j falls iff"
    " w_j < −Σ_{k≠j} w_k·corr_jk",
    latex=r"dJ_j=\frac{\mathbb E_x\,\mathrm{sd}_j\sum_kw_k\mathrm{corr}_{jk}}"
    r"{\sqrt{\mathbb E_x\,w^\top\mathrm{corr}\,w}}",
    assumptions=("the policy's own means and std", "first order, along the tilt"),
    source="ours; the scalarizer: Liu et al. 2026, arXiv:2601.05242",
    needs=World,
    sides=sides,
    control=NegativeControl("an objective gains its own weight, whatever the rest", own_sides),
    nearer=(NegativeControl("covariances in place of correlations", linear_sides),),
    ensemble=Ensemble(conflict_worlds, 100),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
