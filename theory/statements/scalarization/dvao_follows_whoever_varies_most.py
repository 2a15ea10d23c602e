"""E11: DVAO's law: correlations weighed by each objective's variance in the prompt."""

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
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
)
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Derivative of J_j along DVAO's advantage, against its own weights on correlations."""
    world = in_own_units(world, rng)
    weights, power = _draw(world, rng)
    return _against(world, (weights, power), deviations(world) ** power)


def equal_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: fixed weights on the z-scores, as GDPO has them."""
    world = in_own_units(world, rng)
    drawn = _draw(world, rng)
    return _against(world, drawn, torch.ones_like(deviations(world)))


def batch_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: one set of weights, from the mean variance over prompts."""
    world = in_own_units(world, rng)
    weights, power = _draw(world, rng)
    outer = _moments(world)[1]
    spread = (outer @ deviations(world).square()).sqrt()
    return _against(world, (weights, power), (spread**power).expand_as(deviations(world)))


def _draw(world: World, rng: np.random.Generator) -> tuple[Tensor, float]:
    weights = torch.as_tensor(rng.dirichlet(np.full(len(world.names), 3.0)))
    return weights, float(rng.choice([1.0, 2.0]))


def _moments(world: World) -> tuple[Tensor, Tensor]:
    mass = world.log_prob_at().exp()
    moments = prompt_covariances(world.rewards, world.prompt, mass, world.prompt_mass)
    return moments.matrices, moments.prompt_mass


def _against(world: World, drawn: tuple[Tensor, float], loud: Tensor) -> Sides:
    """E_x Σ_k λ_k·C_jk/sd_k, λ ∝ w·loud in each prompt."""
    weights, power = drawn
    options = {"weights": weights.tolist(), "power": power}
    scalarizer = make_scalarizer("dvao", world.names, **options)
    advantage = scalarizer.signal(scalarizer.init(), frozen_batch(world))[1].score
    share = weights * loud
    total = share.sum(1, keepdim=True)
    share = share / torch.where(total > 0, total, 1.0)
    matrices, outer = _moments(world)
    law = outer @ (matrices @ (share * inverse_deviations(world))[..., None])[..., 0]
    measured = tilted_derivative(world, world.rewards, advantage, 0.0)
    return Sides(measured, law, (1 + power) * z_rounding(world))


STATEMENT = Statement(
    id="E11",
    title="DVAO follows whoever varies most in the prompt",
    kind="identity",
    explanation="DVAO weighs each objective's z-score by its variance in the group, as a share of "
    "all. An objective moves by its standard deviation times those weights on its correlations: "
    "the objective that varies most sets the direction in its prompt, and one that varies little "
    "and opposes it falls, even of two with equal weights, which GDPO never does. Scales have a "
    "say again: a reward in cents instead of euros takes ten thousand times the weight. What has "
    "become constant in a prompt gives its weight to the others there.",
    formula="dJ_j = E_x sd_j·Σ_k λ_k(x)·corr_jk, λ_k(x) = w_k·sd_k^p/Σ_l w_l·sd_l^p; two"
    " objectives, p = 2, equal weights, one prompt: J_1 falls iff corr_12 < −Var_1/Var_2",
    latex=r"dJ_j=\mathbb E_x\,\mathrm{sd}_j\sum_k\lambda_k\mathrm{corr}_{jk},\quad\lambda_k="
    r"\frac{w_k\mathrm{sd}_k^p}{\sum_lw_l\mathrm{sd}_l^p}",
    assumptions=("the policy's own means and std", "first order, along the tilt"),
    source="ours; the scalarizer after Jiang et al. 2026, arXiv:2605.25604",
    needs=World,
    sides=sides,
    control=NegativeControl("fixed weights on the z-scores, as GDPO's", equal_sides),
    nearer=(NegativeControl("one set of weights from the batch's variances", batch_sides),),
    ensemble=Ensemble(conflict_worlds, 100),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
