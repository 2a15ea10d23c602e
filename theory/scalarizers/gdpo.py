"""GDPO: every reward is normalised within its group before they are added."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping, Weighting, weighting
from covlaw.theory.scalarizers._given import given_rewards, per_root_mean_square
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class GdpoState(NamedTuple):
    """Nothing to remember."""


class Gdpo:
    """Group reward-decoupled normalization (Liu et al. 2026, arXiv 2601.05242).

    Â ∝ Σ_j w_j (r_j − E_x r_j)/sd_x(r_j), each objective in units of its own std in the prompt
    (unbiased of samples; 0 where it is constant), then divided by the root mean square of the
    batch, as the paper does. So Cov(r_j, Â) ∝ E_x sd_x(r_j)·Σ_k w_k corr_x(r_j, r_k): a reward's
    scale has no say, and objective j falls where its correlations with the others outweigh w_j.

    Args:
        objectives: M names.
        weights: One w_j ≥ 0 each, normalised to sum to 1; default: equal.
        whiten: Whether the sum is divided by its root mean square: one factor for the batch.

    Raises:
        CovlawError: on weights of the wrong number or sign; with a batch, on rewards that are not
            finite and prompts with a single sampled completion.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def __init__(
        self,
        objectives: Sequence[str],
        weights: float | Sequence[float] | None = None,
        whiten: bool = True,
    ) -> None:
        self.weights, self.whiten = shares(weights, objectives), whiten

    def init(self) -> GdpoState:
        """Return the empty state."""
        return GdpoState()

    def signal(self, state: GdpoState, batch: Batch) -> tuple[GdpoState, Signal]:
        """The advantage itself; it is the score too."""
        rewards = given_rewards(batch, self.weights.shape[0], "gdpo")
        advantage = standardised_by_prompt(rewards, batch) @ self.weights
        if self.whiten:
            advantage = per_root_mean_square(advantage, batch)
        return state, Signal(advantage, advantage, self.weights)

    def update(self, state: GdpoState, seen: Observation) -> GdpoState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E9, and T54 reward by reward."""
        return ("E9", "T54")


def standardised_by_prompt(rewards: Tensor, batch: Batch) -> Tensor:
    """(r_j − E_x r_j)/sd_x(r_j): (N, M); 0 where r_j does not vary within the prompt."""
    weights = weighting(Grouping(batch.prompt, batch.mass, batch.prompt_mass))
    deviation = deviations_by_prompt(rewards, weights)
    gap = weights.groups.centre(rewards, weights.row)
    return gap / weights.groups.spread(torch.where(deviation > 0, deviation, torch.inf))


def deviations_by_prompt(rewards: Tensor, weights: Weighting) -> Tensor:
    """sd_x(r_j): (P, M), unbiased variance of samples; exactly 0 where it is below rounding."""
    groups = weights.groups
    gap = groups.centre(rewards, weights.row)
    variance = groups.sum(weights.row[:, None] * gap.square()) * weights.correction[:, None]
    position = groups.position[:, None].expand_as(rewards)
    largest = torch.zeros_like(variance).scatter_reduce(0, position, rewards.abs(), "amax")
    noise = rounding(largest, 4 * int(groups.counts.max()))
    return torch.where(variance.sqrt() > noise, variance.sqrt(), 0.0)
