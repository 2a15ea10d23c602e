"""How plain gradients and covariances of pairs of signals compare, with rounding bounds (T13)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.groups import group_by_prompt
from covlaw.theory.rounding import rounding
from covlaw.theory.statements.law.gradients_align_through_a_kernel import value_gradients
from covlaw.theory.statements.support.gradient_rounding import (
    gradient_roundings,
    is_dense,
    largest_score_norm,
)
from covlaw.theory.worlds import World


class Pairs(NamedTuple):
    """Statistics of n pairs (r, s), (n,) each."""

    alignment: Tensor
    """⟨∇J_r, ∇J_s⟩, by autograd through the enumerated values."""
    covariance: Tensor
    sd_reward: Tensor
    sd_score: Tensor
    size: Tensor
    """√E r²·√E s²: the scale on which covariances round."""
    error: Tensor
    """Rounding of the alignment, and of k·covariance for any eigenvalue k."""


def has_small_kernel(world: World) -> bool:
    """Whether the Jacobian is small, and some prompt of positive mass has a choice."""
    live = world.prompt[world.row_weight() > 0]
    return is_dense(world) and len(live) > len(torch.unique(live))


def measure(world: World, rewards: Tensor, scores: Tensor) -> Pairs:
    """Compare the columns of `rewards` with those of `scores`, (N, n) each."""
    weight, groups = world.row_weight(), group_by_prompt(world.prompt)
    gradients = value_gradients(world, torch.cat([rewards, scores], 1)).split(rewards.shape[1])
    r, s = (groups.centre(f, world.log_prob_at().exp()) for f in (rewards, scores))
    size = (weight @ rewards.square()).sqrt() * (weight @ scores.square()).sqrt()
    steepest = largest_score_norm(world) ** 2
    return Pairs(
        alignment=(gradients[0] * gradients[1]).sum(1),
        covariance=weight @ (r * s),
        sd_reward=(weight @ r.square()).sqrt(),
        sd_score=(weight @ s.square()).sqrt(),
        size=size,
        error=rounding(size * steepest, 4 * gradient_roundings(world)),
    )
