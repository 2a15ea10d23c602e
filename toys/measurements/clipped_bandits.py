"""What clipping does to the law of many enumerated bandits at once (T25, T27)."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.clipped_law import clipped_law, no_clip_radius
from covlaw.theory.estimators.margin import RELATIVE_MARGIN, clip_margin
from covlaw.theory.losses.clipping import Clip
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.toys.planted_conflict import planted_rewards

PROMPTS, ARMS = 3, 5
NO_CLIP: Clip = (1.0, math.inf, None)


class ClippedBandits(NamedTuple):
    """B inner steps of bandits with P equally likely prompts and K completions."""

    policy: Tensor
    """(B, P, K) π_old."""
    log_ratio: Tensor
    """(B, P, K) log π_θ − log π_old."""
    advantage: Tensor
    """(B, P, K) A = s − E_old s."""
    reward: Tensor
    """(B, P, K) r of one objective."""
    clip: Clip


class Effect(NamedTuple):
    """Of each inner step, (B,)."""

    x: Tensor
    """Mean margin bound over |Cov_old(r, ρA)|."""
    y: Tensor
    """Cov_old(r, W) over Cov_old(r, ρA)."""
    step: Tensor
    """The same ratio for the natural step itself: of Cov_θ(r, A·1[not clipped]) to Cov_θ(r, A)."""

    @property
    def certified(self) -> Tensor:
        """(B,) bool: as `clip_margin` certifies."""
        return self.x * (1 + RELATIVE_MARGIN) < 1

    @property
    def outside(self) -> Tensor:
        """(B,) bool: |y − 1| > x by more than the certificate's allowance for rounding."""
        return (self.y - 1).abs() > self.x * (1 + RELATIVE_MARGIN) + RELATIVE_MARGIN


def drifted(
    rng: np.random.Generator, cases: int, drift: float, clip: float, correlation: float
) -> ClippedBandits:
    """Draw bandits whose logits have moved by `drift` no-clip radii, partly along the advantage.

    Rewards and score have variance 1 and the given correlation in each prompt. How much of the
    change is along the advantage, which inner steps follow, is uniform in [0, 1].
    """
    policy = torch.as_tensor(rng.dirichlet(np.full(ARMS, 2.0), size=(cases, PROMPTS)))
    pair = planted_rewards(rng, policy.reshape(-1, ARMS), 2, correlation)
    score, reward = pair[:, 0].reshape(policy.shape), -pair[:, 1].reshape(policy.shape)
    advantage = score - (policy * score).sum(2, keepdim=True)
    along = torch.as_tensor(rng.uniform(size=(cases, 1, 1)))
    noise = torch.as_tensor(rng.normal(size=tuple(policy.shape)))
    change = along * advantage + (1 - along) * noise
    change = change / (change.amax(2, keepdim=True) - change.amin(2, keepdim=True))
    clips: Clip = (clip, clip, None)
    return moved(policy, drift * no_clip_radius(*clips) * change, advantage, reward, clips)


def moved(
    policy: Tensor, change: Tensor, advantage: Tensor, reward: Tensor, clip: Clip
) -> ClippedBandits:
    """Change the logits of π_old (B, P, K) by `change`: the policy π_θ of the inner step."""
    prompt = torch.arange(policy[..., 0].numel()).repeat_interleave(policy.shape[2])
    log_ratio = tilt_log_ratio(change.flatten(), 1.0, prompt, policy.flatten())
    return ClippedBandits(policy, log_ratio.reshape(policy.shape), advantage, reward, clip)


def effect(bandits: ClippedBandits) -> Effect:
    """Clip every bandit's inner step and read its law, margin and natural step."""
    shape = bandits.policy.shape
    prompt = torch.arange(shape[0] * shape[1]).repeat_interleave(shape[2])
    reward, advantage, log_ratio, mass = (
        values.flatten()
        for values in (bandits.reward, bandits.advantage, bandits.log_ratio, bandits.policy)
    )

    def mean(per_prompt: Tensor) -> Tensor:
        return per_prompt.reshape(shape[:2]).mean(1)

    def step(clip: Clip) -> Tensor:
        return mean(clipped_law(reward, advantage, log_ratio, clip, prompt, mass).per_prompt)

    margin = clip_margin(reward[:, None], advantage, log_ratio, bandits.clip, prompt, mass)
    law = mean(margin.unclipped.per_prompt)
    return Effect(
        mean(margin.bound) / law.abs(),
        mean(margin.clipped.per_prompt) / law,
        step(bandits.clip) / step(NO_CLIP),
    )
