"""One-prompt bandits with several rewards from exact rational data, and what a step does."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.tolerances import change_rounding
from covlaw.theory.statements.base import Sides
from covlaw.theory.statements.false_claims._explicit.worlds import (
    Rationals,
    as_tensor,
    explicit_bandit,
)
from covlaw.theory.worlds.world import World


def explicit_objectives(label: str, policy: Rationals, rewards: Sequence[Rationals]) -> World:
    """A softmax bandit with the given arm probabilities, one free logit an arm.

    Args:
        label: Name of the world.
        policy: n probabilities that sum to exactly 1.
        rewards: M rewards of n arms each.
    """
    columns = torch.stack([as_tensor(reward) for reward in rewards], 1)
    names = tuple(f"r{j + 1}" for j in range(columns.shape[1]))
    return replace(explicit_bandit(label, policy, rewards[0]), rewards=columns, names=names)


def tilt_direction(world: World, score: Tensor) -> Tensor:
    """The parameter direction of the tilt along `score`: the natural gradient (T12)."""
    return centred_score(world, score)


def gradient_direction(world: World, score: Tensor) -> Tensor:
    """The plain gradient of E s."""
    return world.score_sum(world.row_weight() * centred_score(world, score))


def claimed_gain(
    world: World, objectives: Sequence[int], direction: Tensor, etas: Sequence[float]
) -> Sides:
    """The claim that steps η·direction lift the objectives, against their realised changes."""
    kept = list(objectives)
    slope = world.directional(direction)
    moved = [world.value(world.theta + eta * direction) - world.value() for eta in etas]
    error = [change_rounding(world, world.rewards, eta, slope)[kept] for eta in etas]
    measured = torch.cat([change[kept] for change in moved])
    return Sides(measured, torch.ones_like(measured), torch.cat(error))
