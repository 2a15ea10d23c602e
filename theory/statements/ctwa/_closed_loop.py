"""CTWA and the policy together: tilts along λ·r over each prompt's std, on a batch of bandits.

Rewards are made binary: 1 above the middle of their range, as pass/fail rewards are.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import grpo_signal, prompt_std
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.worlds.world import World


class Bandits(NamedTuple):
    """B bandits of P prompts with K completions each; absent ones have probability 0."""

    log_mass: Tensor
    """(B, P, K)."""
    rewards: Tensor
    """(B, P, K, M), 0 or 1."""
    prompt_mass: Tensor
    """(B, P)."""


class Moment(NamedTuple):
    """One step of the loop."""

    covariances: PromptCovariances
    log_weights: Tensor
    """(B, M) u before this step's update."""
    rise: Tensor
    """(B, M) what the update adds to u."""
    success: Tensor
    """(B, M) p_j, the mean reward."""

    def weights(self) -> Tensor:
        """Λ = e^u, the largest 1: (B, M)."""
        return (self.log_weights - self.log_weights.amax(1, keepdim=True)).exp()


def as_bandits(instance: Bandits | World) -> Bandits:
    """A world's completions, prompt by prompt, as a batch of one; rewards cut to 0 and 1."""
    if isinstance(instance, Bandits):
        return instance
    groups = group_by_prompt(instance.prompt)
    prompts, largest = groups.prompts.shape[0], int(groups.counts.max())
    order = groups.position.argsort(stable=True)
    first = groups.counts.cumsum(0) - groups.counts
    place = torch.arange(order.shape[0]) - first[groups.position[order]]
    cell = groups.position[order] * largest + place
    log_mass = torch.full((prompts * largest,), -torch.inf, dtype=torch.float64)
    log_mass[cell] = instance.log_prob_at()[order]
    rewards = torch.zeros(prompts * largest, instance.rewards.shape[1], dtype=torch.float64)
    rewards[cell] = pass_or_fail(instance.rewards)[order]
    mass = instance.prompt_mass
    mass = torch.full((prompts,), 1 / prompts, dtype=torch.float64) if mass is None else mass
    return Bandits(
        log_mass.reshape(1, prompts, largest),
        rewards.reshape(1, prompts, largest, -1),
        mass[None],
    )


def pass_or_fail(rewards: Tensor) -> Tensor:
    """1 above the middle of each column's range, else 0."""
    middle = rewards.amin(0) / 2 + rewards.amax(0) / 2
    return (rewards > middle).to(torch.float64)


def draw_bandits(rng: np.random.Generator, count: int) -> Iterator[Bandits]:
    """Yield `count` bandits in all, in batches: 1–3 prompts, 5–8 arms, 2–4 binary rewards."""
    left = count
    while left > 0:
        size = min(left, max(8, min(256, count // 4)))
        prompts, arms, objectives = (int(rng.integers(a, b)) for a, b in ((1, 4), (5, 9), (2, 5)))
        logits = torch.as_tensor(rng.normal(size=(size, prompts, arms)))
        rewards = rng.random((size, prompts, arms, objectives)) < rng.uniform(0.2, 0.8)
        mass = torch.as_tensor(rng.dirichlet(np.full(prompts, 2.0), size=size))
        yield Bandits(logits.log_softmax(2), torch.as_tensor(rewards.astype(float)), mass)
        left -= size


def closed_loop(
    bandits: Bandits, targets: Tensor, step: float, rate: float, steps: int
) -> Iterator[Moment]:
    """Yield `steps` moments: observe, raise the log-weights, tilt by rate·λ·r/sd_x(λ·r).

    Args:
        bandits: Starting policies.
        targets: (B, M) c.
        step: CTWA's η.
        rate: The tilt's strength on advantages of standard deviation 1.
        steps: How many.
    """
    log_mass, u = bandits.log_mass, torch.zeros_like(targets)
    for _ in range(steps):
        covariances, success = _moments(bandits, log_mass)
        weights = (u - u.amax(1, keepdim=True)).exp()
        rise = step * torch.relu(targets - grpo_signal(covariances, weights))
        yield Moment(covariances, u, rise, success)
        std = prompt_std(covariances, weights)
        scale = torch.where(std > 0, rate / torch.where(std > 0, std, 1.0), 0.0)
        score = (bandits.rewards @ weights[:, None, :, None])[..., 0]
        log_mass = (log_mass + scale[..., None] * score).log_softmax(2)
        u = u + rise


def _moments(bandits: Bandits, log_mass: Tensor) -> tuple[PromptCovariances, Tensor]:
    mass = log_mass.exp()[..., None]
    means = (mass * bandits.rewards).sum(2)
    centred = bandits.rewards - means[:, :, None]
    matrices = centred.mT @ (mass * centred)
    noise = rounding(torch.ones_like(means), 2 * mass.shape[2] + 8)
    covariances = PromptCovariances(matrices, bandits.prompt_mass, means, noise)
    return covariances, (bandits.prompt_mass[..., None] * means).sum(1)
