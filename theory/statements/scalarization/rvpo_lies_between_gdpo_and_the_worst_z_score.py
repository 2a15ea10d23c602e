"""E10: RVPO's law is GDPO's for a blunt soft minimum and the least z-score's for a sharp one."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.z_scores import z_rounding, z_scores
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
    frozen_batch,
)
from covlaw.theory.worlds.world import World

HOEFFDING = 1 / 8
"""mean − soft minimum ≤ k/8·range² (Hoeffding's lemma)."""
GRUESS = 1 / 4
"""|Cov(f, g)| ≤ range(f)·range(g)/4."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """RVPO's covariances against GDPO's and against the least z-score's, prompt by prompt."""
    weights, sharpness = _draw(world, rng)
    blunt = _from_the_mean(world, weights, sharpness, HOEFFDING * GRUESS)
    return joined([blunt, _from_the_least(world, weights, sharpness)])


def gdpo_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a soft minimum moves the objectives as the mean does."""
    weights, sharpness = _draw(world, rng)
    return joined([_from_the_mean(world, weights, sharpness, 0.0)])


def least_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the least z-score alone decides."""
    weights, sharpness = _draw(world, rng)
    return joined([_from_the_least(world, weights, sharpness, 0.0)])


def _draw(world: World, rng: np.random.Generator) -> tuple[Tensor, float]:
    weights = torch.as_tensor(rng.dirichlet(np.full(len(world.names), 3.0)))
    return weights, float(10 ** rng.uniform(-2, 1.5))


def _law(world: World, signal: Tensor) -> Tensor:
    mass = world.log_prob_at().exp()
    return within_prompt_covariance(world.rewards, signal, world.prompt, mass).per_prompt


def _advantage(world: World, weights: Tensor, sharpness: float) -> Tensor:
    options = {"weights": weights.tolist(), "sharpness": sharpness, "whiten": False}
    scalarizer = make_scalarizer("rvpo", world.names, **options)
    score: Tensor = scalarizer.signal(scalarizer.init(), frozen_batch(world))[1].score
    return score


def _part(world: World, other: Tensor, own: Tensor, width: Tensor) -> Part:
    """|Cov_x(r_j, own) − Cov_x(r_j, other)| ≤ R_j·width_x: (P·M,)."""
    gap = (_law(world, own) - _law(world, other)).abs()
    reach = group_by_prompt(world.prompt).span(world.rewards)
    error = z_rounding(world) * (1 + other.abs().max())
    return gap.reshape(-1), (reach * width).reshape(-1), error.expand_as(gap).reshape(-1)


def _from_the_mean(world: World, weights: Tensor, sharpness: float, constant: float) -> Part:
    """Of D = mean − soft minimum ∈ [0, k/8·largest range² of a completion's z-scores]."""
    z, groups = z_scores(world), group_by_prompt(world.prompt)
    square = (z.amax(1) - z.amin(1)).square()
    widest = square.new_zeros(len(groups.prompts)).scatter_reduce(
        0, groups.position, square, "amax", include_self=False
    )
    own = _advantage(world, weights, sharpness)
    return _part(world, z @ weights, own, constant * sharpness * widest[:, None])


def _from_the_least(
    world: World, weights: Tensor, sharpness: float, constant: float = GRUESS
) -> Part:
    """Of soft minimum − least ∈ [0, −log(min w)/k]."""
    own = _advantage(world, weights, sharpness)
    width = constant * -weights.min().log() / sharpness
    return _part(world, z_scores(world).amin(1), own, width)


STATEMENT = Statement(
    id="E10",
    title="RVPO's law lies between GDPO's and that of each completion's worst z-score",
    kind="bound",
    explanation="RVPO scores a completion by a soft minimum of its z-scores, so that the reward "
    "on which it does worst pushes it most. For a small sharpness k an objective moves as under "
    "GDPO, up to k/32 times its range times the squared spread of z-scores; where GDPO's "
    "covariance exceeds that, RVPO keeps its sign. For a large k it moves as under the least "
    "z-score, up to log(1/w)/k, and that is no protection: a reward that one arm in five earns "
    "and another that the other four earn leave GDPO still, while RVPO lowers the rarer one: the "
    "arm that earns it does far worse on the other (z = −2) than that one does on it (−1/2). "
    "Worst per completion is not worst on average (F15).",
    formula="|Cov_x(r_j, s) − Cov_x(r_j, Σ w z)| ≤ R_j·(k/32)·max_y range(z(y))²;"
    " |Cov_x(r_j, s) − Cov_x(r_j, min z)| ≤ R_j·log(1/min w)/(4k)",
    latex=r"|\mathrm{Cov}_x(r_j,s)-\mathrm{Cov}_x(r_j,\textstyle\sum wz)|\le\tfrac{k}{32}R_j\max_y"
    r"\mathrm{range}(z)^2,\quad|\mathrm{Cov}_x(r_j,s)-\mathrm{Cov}_x(r_j,\min z)|\le"
    r"\frac{R_j\log(1/\min w)}{4k}",
    assumptions=("the policy's own means and std", "weights that sum to 1", "first order"),
    source="ours (Hoeffding's lemma, Grüss); the scalarizer: Montero et al. 2026, arXiv:2605.05750",
    needs=World,
    sides=sides,
    control=NegativeControl("a soft minimum moves the objectives as the mean does", gdpo_sides),
    nearer=(NegativeControl("the least z-score alone decides", least_sides),),
    ensemble=Ensemble(conflict_worlds, 100),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
