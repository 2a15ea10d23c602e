"""One-prompt bandits from exact rational data: the worlds of the counterexamples (part F)."""

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.tolerances import change_rounding
from covlaw.theory.statements.base import Sides
from covlaw.theory.worlds.world import World

Rationals = Sequence[Fraction | int]


def explicit_bandit(
    label: str, policy: Rationals, reward: Rationals, features: Sequence[Rationals] | None = None
) -> World:
    """A softmax bandit with the given arm probabilities and one reward an arm.

    Args:
        label: Name of the world.
        policy: n probabilities that sum to exactly 1.
        reward: n rewards.
        features: (n, D) rows φ: log π = φ·θ + log policy − normaliser, at θ = 0. None: one
            free logit an arm.

    Raises:
        ValueError: if the probabilities do not sum to exactly 1.
    """
    if sum(policy) != 1:
        raise ValueError(f"{label}: probabilities sum to {sum(policy)}")
    base, index = as_tensor(policy).log(), torch.zeros(len(policy), dtype=torch.int64)
    if features is None:
        design = torch.eye(len(policy), dtype=torch.float64)
    else:
        design = torch.stack([as_tensor(row) for row in features])

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(base + design @ theta, index, 1)

    return World(
        label=label,
        prompt=index,
        rewards=as_tensor(reward)[:, None],
        names=("r",),
        theta=torch.zeros(design.shape[1], dtype=torch.float64),
        log_prob=log_prob,
        tabular=features is None,
        depth=2 * len(policy) + 8,
    )


def as_tensor(values: Rationals) -> Tensor:
    """Rationals as float64, each rounded once."""
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def forecast_against_change(
    world: World, score: Tensor, direction: Tensor, etas: Sequence[float]
) -> Sides:
    """The forecast "J moves as Cov(r, s) says" against the change realised by steps η·direction.

    Args:
        world: A bandit with one reward.
        score: (n,) s.
        direction: (D,) parameter direction that follows s in some geometry.
        etas: Step sizes.
    """
    mass = world.log_prob_at().exp()
    covariance = within_prompt_covariance(world.rewards, score, world.prompt, mass).estimate
    changes = [world.value(world.theta + eta * direction) - world.value() for eta in etas]
    slope = world.directional(direction)
    error = [change_rounding(world, world.rewards, eta, slope) for eta in etas]
    return Sides(torch.cat(changes), covariance.repeat(len(etas)), torch.cat(error))
