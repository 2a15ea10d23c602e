"""Log-linear softmax policies built on any world's completions (T14)."""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.statements._support.adversaries import EXTREMAL_MASS
from covlaw.theory.statements._support.batches import from_an_own_completion
from covlaw.theory.worlds.world import World


def log_linear(world: World, features: Tensor) -> World:
    """π_θ ∝ π e^{φ·θ} at θ = 0, `features` (N, D), with the world's π and rewards.

    Rewards are relative to a completion of their prompt, so that an offset does not round.
    """
    groups, base = group_by_prompt(world.prompt), world.log_prob_at()

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(base + features @ theta, groups.position, len(groups.counts))

    return World(
        label=f"{world.label}, {features.shape[1]} features",
        prompt=world.prompt,
        rewards=from_an_own_completion(world.rewards, world.prompt),
        names=world.names,
        theta=torch.zeros(features.shape[1], dtype=torch.float64),
        log_prob=log_prob,
        prompt_mass=world.prompt_mass,
        depth=2 * features.shape[1] + 8 + math.ceil(-float(base.clamp(min=-1e4).min())),
    )


def extremal_pair() -> World:
    """Two completions of probabilities 1 − p*, p* with rewards 0, 1: the most bent J there is."""
    base = torch.tensor([1 - EXTREMAL_MASS, EXTREMAL_MASS], dtype=torch.float64).log()
    index = torch.zeros(2, dtype=torch.int64)

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(base + theta, index, 1)

    rewards = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    theta = torch.zeros(2, dtype=torch.float64)
    return World("extremal pair", index, rewards, ("r",), theta, log_prob, tabular=True, depth=16)
