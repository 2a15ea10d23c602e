"""T23: dividing by the group's std (GRPO) reweights prompts by 1/sd_x, and a finite group shrinks.

Cov_x(r_j, (s − E_x s)/sd_x) = Cov_x(r_j, s)/sd_x; from K completions of a two-valued score the
advantage shows ((K−1)/K)·E[sd_K]/sd_x of that, for every reward.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.batches import all_batches, from_an_own_completion
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.sampling._group_shrink import two_valued_shrink
from covlaw.theory.tilts.tilt_problem import tilt_problem
from covlaw.theory.worlds.world import World

SIZES = (2, 3, 4)
"""K: completions a group."""


class TwoValued(NamedTuple):
    """A score of two values, 0 and `gap`, and the prompts in which it varies."""

    score: Tensor
    """(N,)."""
    gap: float
    live: Tensor
    """(P,) bool."""
    probability: Tensor
    """(P',) of `gap` in each of those."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The derivative along the standardised score; and the mean over all groups of K completions.

    Groups on a few completions of the world, with a random two-valued score.
    """
    few, score, size = _group_case(world, rng)
    standardised = _standardised_sides(world, random_score(world, rng))
    return joined([standardised, group_sides(few, score, size, two_valued_shrink)])


def no_shrink_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a group of K shows Cov_x(r_j, s)/sd_x in full."""
    few, score, size = _group_case(world, rng)
    return joined([group_sides(few, score, size, lambda p, _: torch.ones_like(p))])


def divisor_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a group shows (K − 1)/K of it, as if its std were the prompt's."""
    few, score, size = _group_case(world, rng)
    return joined([group_sides(few, score, size, lambda p, k: torch.full_like(p, (k - 1) / k))])


def _standardised_sides(world: World, score: Tensor) -> Part:
    """d/dη of E r_j along s̃/sd_x at η = 0, by a complex step, against E_x[Cov_x(r_j, s)/sd_x]."""
    mass = world.log_prob_at().exp()
    problem = tilt_problem(world.rewards, score, Grouping(world.prompt, mass, world.prompt_mass))
    deviation = problem.groups.sum(mass * problem.score.square()).sqrt()
    varies = deviation > rounding(score.abs().max(), 4)
    inverse = torch.where(varies, 1 / torch.where(varies, deviation, 1.0), 0.0)
    advantage = problem.score * problem.groups.spread(inverse)
    values = from_an_own_completion(world.rewards, world.prompt)
    law = within_prompt_covariance(values, problem.score, world.prompt, mass).per_prompt
    size = values.abs().amax(0) * advantage.abs().max()
    operations = 64 * (int(problem.groups.counts.max()) + len(law) + 16)
    return (
        tilted_derivative(world, values, advantage, 0.0),
        problem.prompt_mass @ (inverse[:, None] * law),
        rounding(size, operations),
    )


def group_sides(
    few: World, score: TwoValued, completions: int, shrink: Callable[[Tensor, int], Tensor]
) -> Part:
    """E[(1/K) Σ r_k Â_k | x] over all groups of K, against shrink·Cov_x/sd_x: (P'·M,).

    Â by the normaliser that training uses; |Â| ≤ √K.
    """
    batches, mass = all_batches(few, completions), few.log_prob_at().exp()
    groups = group_by_prompt(batches.owner)
    advantage = NORMALISERS["grpo"](score.score[batches.flat], groups)
    shown = groups.sum(few.rewards[batches.flat] * advantage[:, None]) / completions
    law = within_prompt_covariance(few.rewards, score.score, few.prompt, mass).per_prompt
    deviation = score.gap * (score.probability * (1 - score.probability)).sqrt()
    factor = shrink(score.probability, completions) / deviation
    forecast = factor[:, None] * law[score.live]
    scale = few.rewards.abs().amax(0) * completions**0.5
    error = rounding(scale, 32 * (len(batches.rows) + len(few.prompt) + 16)).expand_as(forecast)
    measured = batches.expectation(shown)[score.live]
    return measured.reshape(-1), forecast.reshape(-1), error.reshape(-1)


def _group_case(world: World, rng: np.random.Generator) -> tuple[World, TwoValued, int]:
    few = on_few_completions(world, rng, completions=4)
    few = replace(few, rewards=from_an_own_completion(few.rewards, few.prompt))
    return few, _two_valued(few, rng), int(rng.choice(SIZES))


def _two_valued(few: World, rng: np.random.Generator) -> TwoValued:
    gap, groups = float(10 ** rng.uniform(-6, 6)), group_by_prompt(few.prompt)
    high = torch.as_tensor(rng.integers(0, 2, size=len(few.prompt)).astype(float))
    probability = groups.sum(few.log_prob_at().exp() * high)
    live = (probability > 0) & (probability < 1)
    return TwoValued(gap * high, gap, live, probability[live])


STATEMENT = Statement(
    id="T23",
    title="Dividing by the group's std reweights prompts by 1/sd and shrinks small groups",
    explanation="GRPO divides each completion's centred score s by the standard deviation (std) of"
    " its group of K completions. With many completions that divides the law of a prompt by its own"
    " std, so prompts on which the policy is almost decided count most. With few it also shrinks"
    " what a pass/fail score shows, to .28 of it for K = 2 and a pass rate of .2. A mean over"
    " prompts can change sign through the reweighting (F6), so read GRPO runs prompt by prompt or"
    " use one std for the batch (T38).",
    kind="identity",
    formula="Cov_x(r_j, (s − E_x s)/sd_x) = Cov_x(r_j, s)/sd_x; s two-valued:"
    " E[(1/K) Σ_k r_k Â_k] = ((K−1)/K)·E[sd_K]/sd_x · Cov_x(r_j, s)/sd_x",
    latex=r"\mathrm{Cov}_x(r_j,\hat A)=\frac{\mathrm{Cov}_x(r_j,s)}{\mathrm{sd}_x(s)},\quad"
    r"\mathbb{E}\,\frac1K\sum_k r_k\hat A_k=\frac{K-1}{K}"
    r"\frac{\mathbb{E}\,\mathrm{sd}_K}{\mathrm{sd}_x}\cdot\frac{\mathrm{Cov}_x(r_j,s)}{\mathrm{sd}_x}",
    assumptions=(
        "std with ddof 1, groups of equal scores give 0",
        "finite K: completions i.i.d. given the prompt, s takes two values in it",
    ),
    source="ours (reweighting noted by Liu et al. 2025, Dr. GRPO)",
    needs=World,
    sides=sides,
    control=NegativeControl("a group of K shows the covariance in full", no_shrink_sides),
    nearer=(NegativeControl("a group of K shows (K − 1)/K of it", divisor_sides),),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
)
