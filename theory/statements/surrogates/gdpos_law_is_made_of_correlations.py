"""T54: normalised one by one, rewards move each other by their correlations; scales have no say.

s = Σ_k λ_k A_k/sd_k: Cov_x(r_j, s) = sd_j·Σ_k λ_k·corr_jk; equal weights, two rewards: never < 0.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.z_scores import (
    in_own_units,
    inverse_deviations,
    z_rounding,
    z_scores,
)
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Rate along s against correlations; a scale of a reward; two rewards of equal weights."""
    plain = in_own_units(world, rng)
    weights = torch.as_tensor(rng.dirichlet(np.ones(plain.rewards.shape[1])))
    parts = [_correlations(plain, weights), _scaled(plain, weights, rng)]
    if plain.rewards.shape[1] > 1:
        parts.append(_two(plain))
    return joined(parts)


def covariance_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the sum of the rewards decides, as without normalisation."""
    plain = in_own_units(world, rng)
    weights = torch.as_tensor(rng.dirichlet(np.ones(plain.rewards.shape[1])))
    matrix = _moments(plain).within()
    measured, _, error = _rate(plain, weights)
    return _apart(measured, matrix @ weights, error)


def pooled_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: correlations and std of all prompts together."""
    plain = in_own_units(world, rng)
    weights = torch.as_tensor(rng.dirichlet(np.ones(plain.rewards.shape[1])))
    matrix = _moments(plain).within()
    deviation = matrix.diagonal().clamp(min=0).sqrt()
    units = weights / torch.where(deviation > 0, deviation, 1.0)
    measured, _, error = _rate(plain, weights)
    return _apart(measured, matrix @ units, error)


def _moments(world: World) -> PromptCovariances:
    mass = world.log_prob_at().exp()
    return prompt_covariances(world.rewards, world.prompt, mass, world.prompt_mass)


def _signal(world: World, weights: Tensor) -> Tensor:
    return z_scores(world) @ weights


def _rate(world: World, weights: Tensor) -> Part:
    """d/dη E r_j along s by a complex step, 0, and the rounding of both ways."""
    measured = tilted_derivative(world, world.rewards, _signal(world, weights), 0.0)
    return measured, torch.zeros_like(measured), z_rounding(world)


def _correlations(world: World, weights: Tensor) -> Part:
    """|rate − E_x sd_j Σ_k λ_k corr_jk| ≤ 0; a constant reward has no correlation."""
    moments, units = _moments(world), weights * inverse_deviations(world)
    law = moments.prompt_mass @ (moments.matrices @ units[..., None])[..., 0]
    measured, zero, error = _rate(world, weights)
    return (measured - law).abs(), zero, error


def _scaled(world: World, weights: Tensor, rng: np.random.Generator) -> Part:
    """|s with reward k in another unit − s| ≤ 0; powers of 2 round nothing."""
    factor = torch.as_tensor(2.0 ** rng.integers(-20, 21, world.rewards.shape[1]))
    scaled = replace(world, rewards=world.rewards * factor)
    gap = (_signal(scaled, weights) - _signal(world, weights)).abs()
    return gap, torch.zeros_like(gap), torch.zeros_like(gap)


def _two(world: World) -> Part:
    """−rate ≤ 0 of the first two rewards under equal weights."""
    two = replace(world, rewards=world.rewards[:, :2])
    half = torch.full((2,), 0.5, dtype=torch.float64)
    measured, zero, error = _rate(two, half)
    return -measured, zero, error


def _apart(measured: Tensor, law: Tensor, error: Tensor) -> Sides:
    return Sides((measured - law).abs(), torch.zeros_like(law), error)


STATEMENT = Statement(
    id="T54",
    title="Normalised one by one, rewards move each other by their correlations alone",
    kind="bound",
    explanation="GDPO divides every reward by its own standard deviation in the group before the "
    "weighted sum is made. Then a reward moves, in units of its standard deviation, by the "
    "weighted sum of its correlations with all rewards: the units that rewards come in have no "
    "say, which is the method's promise. With two rewards and equal weights neither can fall, for "
    "a correlation is never below −1. With three the promise ends: two rewards that oppose a "
    "third outvote it (F17).",
    formula="s = Σ_k λ_k (r_k − E_x r_k)/sd_x(r_k):"
    " Cov_x(r_j, s) = sd_x(r_j)·Σ_k λ_k·corr_x(r_j, r_k); two rewards, equal weights: ≥ 0",
    latex=r"\mathrm{Cov}_x(r_j,s)=\mathrm{sd}_j\sum_k\lambda_k\,\mathrm{corr}_{jk};\qquad "
    r"m=2,\ \lambda=(\tfrac12,\tfrac12):\ \ge0",
    assumptions=(
        "the policy's own mean and std in the prompt; a constant reward counts as 0",
        "the rate of change: the tilt",
        "without the batch's factor, which is one for all rewards",
    ),
    source="ours; the signal: Liu et al. 2026, arXiv:2601.05242",
    needs=World,
    sides=sides,
    control=NegativeControl("covariances instead of correlations", covariance_sides),
    nearer=(NegativeControl("the std over all prompts together", pooled_sides),),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
)
