"""Rewards and scores that make a bound tight or a sign flip, built on any world's own policy."""

import math

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import Groups, group_by_prompt
from covlaw.theory.worlds.world import World

EXTREMAL_MASS = (3 - math.sqrt(3)) / 6
"""p of the Bernoulli score that attains the third-cumulant bound (T4)."""

_ORDERS = 16


def extremal_indicator(world: World, rng: np.random.Generator) -> Tensor:
    """1_B (N,) with P(B | x) as near (3 − √3)/6 as random orders of the completions allow (T4).

    B is a prefix of the best of 16 random orders, cut where its mass is nearest.
    """
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    candidates = _prefixes(groups, mass, rng)
    miss = (groups.sum(mass[:, None] * candidates.T) - EXTREMAL_MASS).abs()
    best = groups.spread(miss.argmin(1))
    return candidates.gather(0, best[None])[0]


def _prefixes(groups: Groups, mass: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw (16, N) indicators, each a prefix of a random order of every prompt's completions."""
    keys = torch.as_tensor(rng.random((_ORDERS, mass.shape[0]))) + groups.position
    order = keys.argsort(1)  # prompt by prompt, random within
    ordered = mass[order]
    middle = ordered.cumsum(1) - ordered / 2 - groups.position[order]  # masses sum to 1
    chosen = (middle <= EXTREMAL_MASS).to(mass.dtype)
    return torch.zeros_like(chosen).scatter(1, order, chosen)


def reversing_reward(world: World, score: Tensor, rng: np.random.Generator) -> Tensor:
    """Reward (N,) with a small positive covariance that a larger tilt turns against (T6).

    r = a_x·s̃ − s̃², s̃ = s − E_x s, with a_x such that Cov_x(r, s) = ε·sd_x(s)³, ε in [0.05, 0.5]:
    the second-order term Cov_x(r, s̃²) is negative unless s takes only two values.
    """
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    centred = groups.centre(score, mass)
    variance, third = (groups.sum(mass * centred**k) for k in (2, 3))
    live = variance > 0
    slope = third / torch.where(live, variance, 1.0) + rng.uniform(0.05, 0.5) * variance.sqrt()
    return groups.spread(torch.where(live, slope, 0.0)) * centred - centred.square()
