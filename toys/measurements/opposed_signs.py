"""Shares of pairs (r, s) whose plain gradient and covariance have opposite signs (T13)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.geometry.gradient_angle import (
    disagreement_of_family,
    disagreement_probability,
    score_threshold,
)
from covlaw.theory.geometry.kernel_spectrum import score_kernel_spectrum, sign_threshold
from covlaw.theory.worlds.world import World


class Shares(NamedTuple):
    """Of all pairs (r, s), in [0, 1]."""

    disagree: float
    """⟨g_r, g_s⟩ and Cov(r, s) have opposite signs."""
    predicted: float
    """The same for rewards that are tables, by the angle between the score and its field."""
    certified: float
    """|corr(r, s)| exceeds (κ − 1)/(κ + 1)."""
    certified_by_score: float
    """|corr(r, s)| exceeds sin φ, the threshold of that score alone."""
    certified_wrong: float
    """Certified either way, and yet opposite: 0 if T13 holds."""


def disagreement_shares(world: World, scores: Tensor, rewards: Tensor) -> Shares:
    """Compare the signs of plain gradients and covariances over all pairs.

    Args:
        world: Small enough for its (N, D) scores.
        scores: (N, S) training scores s.
        rewards: (N, R) rewards r.
    """
    weight, groups = world.row_weight()[:, None], group_by_prompt(world.prompt)
    s, r = (groups.centre(x, world.log_prob_at().exp()) for x in (scores, rewards))
    gradients = [world.scores().T @ (weight * x) for x in (r, s)]
    alignment, covariance = gradients[0].T @ gradients[1], (weight * r).T @ s
    sd_r, sd_s = ((weight * x.square()).sum(0).sqrt() for x in (r, s))
    correlation = (covariance / sd_r[:, None] / sd_s).abs()
    of_all = sign_threshold(score_kernel_spectrum(world))
    of_each = torch.stack([score_threshold(world, x) for x in scores.T])
    predicted = torch.stack([disagreement_probability(world, x) for x in scores.T])
    opposite, certified = alignment * covariance < 0, correlation > of_each
    columns = (opposite, predicted, correlation > of_all, certified, certified & opposite)
    return Shares(*(float(x.to(torch.float64).mean()) for x in columns))


def family_share(world: World, basis: Tensor) -> float:
    """`disagreement_of_family` of the normal mixtures of `basis` (N, n)."""
    weight, mass = world.row_weight()[:, None], world.log_prob_at().exp()
    centred = group_by_prompt(world.prompt).centre(basis, mass)
    gradients = world.scores().T @ (weight * centred)
    covariance, gramian = (weight * centred).T @ centred, gradients.T @ gradients
    return float(disagreement_of_family(covariance, gramian))
