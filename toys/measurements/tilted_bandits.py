"""How far a tilt takes many enumerated bandits at once from the law's straight line (T5, T6)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.tilts.remainder import THIRD_CUMULANT
from covlaw.theory.tilts.thresholds import ONE_PROMPT_RANGES
from covlaw.theory.worlds.tilt import tilt_log_ratio

ARMS = 5
SCAN = tuple(float(x) for x in np.logspace(-2, 2, 49))
"""Reaches between which the first turn of a random bandit's sign is looked for."""
HALVINGS = 30
BINARY = 1 / 3
"""Share of random bandits with a binary score, and of those with a binary reward."""


class TiltedBandits(NamedTuple):
    """B tilts by η = 1 of bandits with P equally likely prompts and K completions."""

    policy: Tensor
    """(B, P, K) π."""
    score: Tensor
    """(B, P, K) s, of which the range is the strength of the tilt."""
    reward: Tensor
    """(B, P, K) r of one objective."""

    def reaching(self, reach: Tensor) -> "TiltedBandits":
        """Tilt as strongly as `reach`, (B,) or a scalar: the largest range of η·s in a prompt."""
        return self._replace(score=self.score * (reach / _span(self.score).amax(1))[:, None, None])


class Curvature(NamedTuple):
    """Of each tilt, (B,)."""

    law: Tensor
    """η·C, first order in the tilt."""
    change: Tensor
    """Δ, exact."""
    bend: Tensor
    """η²·E_x[R_x S_x²]."""

    @property
    def of_bound(self) -> Tensor:
        """(B,) |Δ − η·C| over (√3/36)·η²·E_x[R_x S_x²]: at most 1 (T5)."""
        return (self.change - self.law).abs() / (THIRD_CUMULANT / 2 * self.bend)

    @property
    def constant(self) -> Tensor:
        """(B,) η·E_x[R_x S_x²]/|C|: where Δ = 0, at least 12√3, or 32 for one prompt (T6)."""
        return self.bend / self.law.abs()


def drawn(rng: np.random.Generator, cases: int, prompts: int) -> TiltedBandits:
    """Draw policies, and scores and rewards that are normal or, each in a third of them, binary."""
    shape = (cases, prompts, ARMS)
    policy = torch.as_tensor(rng.dirichlet(np.ones(ARMS), size=shape[:2]))
    score, reward = (_values(rng, shape) for _ in range(2))
    return TiltedBandits(policy, score, reward)


def _values(rng: np.random.Generator, shape: tuple[int, int, int]) -> Tensor:
    binary = rng.integers(2, size=shape)
    binary[..., :2] = (0, 1)  # neither reward nor score may be constant
    rare = rng.uniform(size=(shape[0], 1, 1)) < BINARY
    return torch.as_tensor(np.where(rare, binary, rng.normal(size=shape)))


def curvature(bandits: TiltedBandits) -> Curvature:
    """Tilt every bandit and compare the change with the law."""
    reward, score, mass = (
        values.flatten() for values in (bandits.reward, bandits.score, bandits.policy)
    )
    shape, prompt = bandits.policy.shape, prompt_ids(bandits.policy)
    log_ratio = tilt_log_ratio(score, 1.0, prompt, mass)

    def mean(per_prompt: Tensor) -> Tensor:
        return per_prompt.reshape(shape[:2]).mean(1)

    return Curvature(
        mean(within_prompt_covariance(reward, score, prompt, mass).per_prompt),
        mean(exact_change(reward, log_ratio, prompt, mass).per_prompt),
        (_span(bandits.reward) * _span(bandits.score).square()).mean(1),
    )


def turning(bandits: TiltedBandits) -> TiltedBandits:
    """Change the last reward of the last prompt so that Δ = 0: the sign has turned by here.

    Δ is linear in the rewards, with coefficients π·(ρ − 1).
    """
    prompt, mass = prompt_ids(bandits.policy), bandits.policy
    log_ratio = tilt_log_ratio(bandits.score.flatten(), 1.0, prompt, mass.flatten())
    lever = mass * log_ratio.expm1().reshape(mass.shape)
    reward = bandits.reward.clone()
    reward[:, -1, -1] = 0
    reward[:, -1, -1] = -(lever * reward).sum((1, 2)) / lever[:, -1, -1]
    return bandits._replace(reward=reward)


def first_turn(bandits: TiltedBandits) -> tuple[Tensor, Tensor]:
    """Whether Δ loses the sign of C at a strength of the scan, and the first reach: (B,) each.

    Bisected to ten digits between the two strengths of the scan that enclose it.
    """
    sign = curvature(bandits).law.sign()

    def kept(reach: Tensor) -> Tensor:
        return curvature(bandits.reaching(reach)).change * sign > 0

    ends = torch.tensor((0.0, *SCAN), dtype=torch.float64)
    lost = torch.stack([~kept(reach) for reach in ends[1:]])
    first = lost.to(torch.int8).argmax(0)
    low, high = ends[first], ends[first + 1]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        still = kept(middle)
        low, high = torch.where(still, middle, low), torch.where(still, high, middle)
    return lost.any(0), high


def turn_constant(prompts: int) -> float:
    """Least η·E[R S²]/|C| at which a sign can turn: 12√3 for several prompts, 32 for one (T6)."""
    return ONE_PROMPT_RANGES if prompts == 1 else 2 / THIRD_CUMULANT


def prompt_ids(policy: Tensor) -> Tensor:
    """One id a prompt of every bandit (B, P, K): (B·P·K,)."""
    return torch.arange(policy[..., 0].numel()).repeat_interleave(policy.shape[2])


def _span(values: Tensor) -> Tensor:
    """Range within each prompt: (B, P, K) → (B, P)."""
    return group_by_prompt(prompt_ids(values)).span(values.flatten()).reshape(values.shape[:2])
