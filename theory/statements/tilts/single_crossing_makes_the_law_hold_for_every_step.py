"""T7: where the reward crosses its mean once along the score, the law's sign holds for every step.

With c_k = Σ_{y: s(y) = s_k} π(y|x)(r(y) − E_x r), k by rising s, Δ_x(η) has at most as many zeros
besides η = 0 as (c_k) has sign changes less one; with one change sign Δ_x(η) = sign Cov_x, η > 0.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.adversaries import reversing_reward
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.tilt_strengths import widest_range
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.tilts._single_crossing import sign_changes
from covlaw.theory.statements.tilts._tilted_means import (
    reward_range,
    roundings,
    tilted_means,
)
from covlaw.theory.worlds.world import World

STRENGTHS = 10 ** np.linspace(-2, math.log10(50), 24)
"""η·max_x S_x: from first order to all mass on the best score."""


class _Curves(NamedTuple):
    changes: Tensor  # (P, M) sign changes of c
    change: Tensor  # (2E, P, M) Δ_x at η rising from −50 to 0, then from 0 to 50
    error: Tensor  # (P, M) its rounding


def sides(world: World, rng: np.random.Generator) -> Sides:
    """As a bound: a change against Cov_x measures more than 0; so do sign turns beyond the count.

    Prompt by prompt, for the world's rewards, one that turns back, and one that rises with s.
    """
    rewards, score = _rewards(world, rng)
    curves = _curves(world, rewards, score)
    return joined([_wrong_way(world, rewards, score, curves, 1), _turns(curves)])


def two_change_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: two sign changes do as well as one."""
    rewards, score = _rewards(world, rng)
    return joined([_wrong_way(world, rewards, score, _curves(world, rewards, score), 2)])


def _rewards(world: World, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rewards (N, M + 2) and a unit score (N,)."""
    score = random_score(world, rng)
    unit = score / widest_range(world, score)
    rising = torch.floor(3 * (unit - unit.min()).clamp(max=2.0))
    columns = [world.rewards, reversing_reward(world, unit, rng)[:, None], rising[:, None]]
    return torch.cat(columns, 1), unit


def _wrong_way(world: World, rewards: Tensor, score: Tensor, curves: _Curves, wanted: int) -> Part:
    """−Δ_x(η)·sign Cov_x at η > 0, where sign changes are `wanted` in number, Cov_x decided."""
    groups = Grouping(world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    law = within_prompt_covariance(rewards, score, *groups).per_prompt
    listed = (curves.changes == wanted) & (law.abs() > _law_rounding(world, rewards, score))
    forward = curves.change[len(STRENGTHS) :]
    against = -(forward * law.sign())[:, listed].reshape(-1)
    allowed = curves.error.expand_as(forward)[:, listed].reshape(-1)
    return against, torch.zeros_like(against), allowed


def _turns(curves: _Curves) -> Part:
    """Sign turns of Δ_x over η < 0 and over η > 0 together, against the sign changes less one."""
    counted = torch.zeros_like(curves.changes)
    for half in curves.change.split(len(STRENGTHS)):
        last = torch.zeros_like(half[0])
        for row in torch.where(half.abs() > curves.error, half.sign(), 0.0):
            counted += (row * last < 0).to(torch.int64)
            last = torch.where(row != 0, row, last)
    moved = curves.changes >= 1
    turns, most = counted[moved].double(), (curves.changes[moved] - 1).double()
    return turns, most, torch.zeros_like(most)


def _curves(world: World, rewards: Tensor, score: Tensor) -> _Curves:
    """Enumerate.

    A change of E r errs by the roundings of the weights, 8|η| of them in the exponent, relative
    to R_x, and by a c_k that `sign_changes` took for 0, which is no larger.
    """
    etas = np.concatenate([-STRENGTHS[::-1], STRENGTHS, [0.0]])
    curve = tilted_means(world, rewards.numpy(), score.numpy(), etas)
    groups = Grouping(world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    reach = torch.as_tensor(reward_range(world, rewards.numpy()))
    error = rounding(reach, 8 * roundings(world, STRENGTHS[-1]))
    change = torch.as_tensor(curve[:-1] - curve[-1])
    return _Curves(sign_changes(rewards, score, groups), change, error)


def _law_rounding(world: World, rewards: Tensor, score: Tensor) -> Tensor:
    scale = rewards.abs().amax(0) * score.abs().max()
    return rounding(scale, 32 * roundings(world))


STATEMENT = Statement(
    id="T7",
    title="Where a reward crosses its mean once along the score, the law holds for every step",
    explanation="Sort a prompt's completions by the training score s and look where the reward r"
    " lies below or above its mean. If it changes sides once, as it does whenever the mean reward"
    " rises with the score (for instance r = s), then pushing towards high scores, gently or with"
    " all force, moves r in the direction its covariance with s says. With more sign changes it"
    " may turn back, at most once for every change beyond the first. So a glance at the old"
    " rollouts tells whether large steps can be dangerous at all.",
    kind="bound",
    formula="c_k = Σ_{y: s(y) = s_k} π(r − E_x r) changes sign once"
    " ⇒ sign Δ_x(η) = sign Cov_x(r, s) for all η > 0; #{η ≠ 0: Δ_x(η) = 0} ≤ (sign changes) − 1",
    latex=r"\#\{\eta\neq0:\Delta_x(\eta)=0\}\le\#\text{sign changes}(c_k)-1,\quad "
    r"c_k=\sum_{y:\,s(y)=s_k}\pi(y|x)\,(r(y)-\mathbb{E}_x r)",
    assumptions=(
        "π_η ∝ π e^{ηs}, one prompt at a time",
        "c_k below their rounding count as 0, and not all are 0",
    ),
    source="ours (Descartes' rule for exponential sums: Pólya & Szegő 1925, V)",
    needs=World,
    sides=sides,
    control=NegativeControl("two sign changes, as if they were one", two_change_sides),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
)
