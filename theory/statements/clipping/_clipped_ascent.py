"""Exact ascent on the clipped surrogate of many softmax bandits at once (T28)."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import unknown
from covlaw.theory.losses.clipping import Clip, unclipped

GEOMETRIES = ("natural", "vanilla")


class Bandits(NamedTuple):
    """B one-prompt bandits of n arms."""

    logits: Tensor
    """(B, n) of π_old."""
    score: Tensor
    """(B, n) s."""

    @property
    def policy(self) -> Tensor:
        """(B, n) π_old."""
        return self.logits.softmax(1)

    @property
    def advantage(self) -> Tensor:
        """(B, n) A = s − E_old s."""
        return self.score - mean(self.policy, self.score)

    def kept(self, policy: Tensor, clip: Clip) -> Tensor:
        """(B, n) A·1[not clipped] at π_θ (B, n)."""
        advantage = self.advantage
        return advantage * unclipped(advantage, policy.log() - self.logits.log_softmax(1), *clip)


def clipped_ascent(bandits: Bandits, clip: Clip, geometry: str, rate: float) -> Iterator[Tensor]:
    """Yield π_θ (B, n) after every step from π_old, without end.

    ∇L_clip = E_θ[A·1 ∇log π_θ] (T24); `natural`: logits += η·A·1, the tilt along what clipping
    leaves; `vanilla`: logits += η·π_θ∘(A·1 − E_θ[A·1]), one free logit an arm.

    Args:
        bandits: Where the ascent starts.
        clip: `(clip_low, clip_high, dual_clip)`.
        geometry: `natural` or `vanilla`.
        rate: η > 0.

    Raises:
        CovlawError: for an unknown geometry.
    """
    if geometry not in GEOMETRIES:
        raise unknown("geometry", geometry, GEOMETRIES)
    logits = bandits.logits
    while True:
        policy = logits.softmax(1)
        yield policy
        kept = bandits.kept(policy, clip)
        step = kept if geometry == "natural" else policy * (kept - mean(policy, kept))
        logits = logits + rate * step


def first_order_law(
    policy: Tensor, kept: Tensor, reward: Tensor, geometry: str = "natural"
) -> Tensor:
    """Rate of change of E_θ r on the next step: (B,).

    `natural`: Cov_θ(r, A·1) (T25); `vanilla`: Σ π² (r − E_θ r)(A·1 − E_θ[A·1]) (T11).

    Raises:
        CovlawError: for an unknown geometry.
    """
    if geometry not in GEOMETRIES:
        raise unknown("geometry", geometry, GEOMETRIES)
    weight = policy if geometry == "natural" else policy.square()
    return (weight * (reward - mean(policy, reward)) * (kept - mean(policy, kept))).sum(1)


def mean(policy: Tensor, values: Tensor) -> Tensor:
    """E_π f of each bandit: (B, 1)."""
    return (policy * values).sum(1, keepdim=True)


def worst_own_step(bandits: Bandits, clip: Clip, geometry: str, rate: float, steps: int) -> Tensor:
    """The least change of E s in one step of the ascent, of each bandit: (B,).

    Σ_a (π_new − π_old)(a)·(s_a − E s), step by step; below 0 where the surrogate's own score fell.
    """
    ascent = clipped_ascent(bandits, clip, geometry, rate)
    policy = next(ascent)
    worst = torch.full_like(bandits.score[:, 0], torch.inf)
    for _ in range(steps):
        following = next(ascent)
        centred = bandits.score - mean(policy, bandits.score)
        worst = torch.minimum(worst, ((following - policy) * centred).sum(1))
        policy = following
    return worst
