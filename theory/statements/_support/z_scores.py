"""A world's rewards in units of their own std in each prompt, and how such z-scores round."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping, weighting
from covlaw.theory.scalarizers import Batch
from covlaw.theory.scalarizers.gdpo import deviations_by_prompt, standardised_by_prompt
from covlaw.theory.statements._support.batches import from_an_own_completion
from covlaw.theory.worlds.world import World


def z_scores(world: World) -> Tensor:
    """(r_j − E_x r_j)/sd_x(r_j): (N, M); 0 where r_j is constant in the prompt."""
    batch = Batch(world.rewards, world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    return standardised_by_prompt(world.rewards, batch)


def deviations(world: World) -> Tensor:
    """sd_x(r_j): (P, M); 0 where r_j counts as constant."""
    mass = world.log_prob_at().exp()
    return deviations_by_prompt(
        world.rewards, weighting(Grouping(world.prompt, mass, world.prompt_mass))
    )


def inverse_deviations(world: World) -> Tensor:
    """1/sd_x(r_j): (P, M); 0 where r_j counts as constant."""
    spread = deviations(world)
    return torch.where(spread > 0, 1 / torch.where(spread > 0, spread, 1.0), 0.0)


def z_rounding(world: World) -> Tensor:
    """Bound the float64 error of E_x Cov_x(r_j, Σ_k w_k z_k) for any Σ w = 1: (M,).

    A reward's deviation rounds as its largest value does, so that a z-score errs by γ·max|r|/sd of
    its size; a covariance with it by max|r_j| times E|z| and the two means of either.
    """
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    largest = world.rewards.abs().amax(0)
    relative = (largest * inverse_deviations(world)).max()
    size = groups.sum(mass[:, None] * z_scores(world).abs()).max() + relative
    return 2 * rounding(largest * (1 + size * (1 + relative)), 64 * (len(mass) + 16))


def in_own_units(world: World, rng: np.random.Generator) -> World:
    """Take offsets off, and put each reward in another unit in each prompt: 2^−3 … 2^3.

    Rewards of equal variances would not tell a law of correlations from one of covariances.
    """
    groups = group_by_prompt(world.prompt)
    shape = len(groups.prompts), world.rewards.shape[1]
    unit = torch.as_tensor(2.0 ** rng.integers(-3, 4, shape))
    return replace(
        world, rewards=from_an_own_completion(world.rewards, world.prompt) * groups.spread(unit)
    )
