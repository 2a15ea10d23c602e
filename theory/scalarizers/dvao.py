"""DVAO: z-scores weighed by how much each reward varies in the group."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping, weighting
from covlaw.theory.scalarizers._given import given_rewards
from covlaw.theory.scalarizers._options import not_negative, shares
from covlaw.theory.scalarizers.gdpo import deviations_by_prompt, standardised_by_prompt
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class DvaoState(NamedTuple):
    """Nothing to remember: the weights are each group's."""


class Dvao:
    """Dynamic variance-adaptive advantages (Jiang et al. 2026, arXiv 2605.25604).

    s = Σ_j λ_j(x)·z_j, z_j = (r_j − E_x r_j)/sd_x(r_j) and λ_j(x) = w_j·sd_x(r_j)^p/Σ_k
    w_k·sd_x(r_k)^p: an objective counts in a group by how much it varies there. p = 0 is `gdpo`
    without its batch factor. |s| is at most the largest |z_j|, as no z-score has a weight above 1.
    Unlike under `gdpo` a reward's scale has a say: multiplied by 10 it takes up to 10^p times
    the weight, and a reward whose z-score opposes the others' falls where it varies little (E11).

    The paper was read in its abstract and second-hand, which agree on weights from the empirical
    variance in the group that grow with it; p = 2, weights ∝ w_j·variance, is taken from there.

    Args:
        objectives: M names.
        weights: One w_j ≥ 0 each, normalised to sum to 1; default: equal.
        power: p ≥ 0.

    Raises:
        CovlawError: on options outside their domain; with a batch, on rewards that are not finite
            and prompts with a single sampled completion.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def __init__(
        self,
        objectives: Sequence[str],
        weights: float | Sequence[float] | None = None,
        power: float = 2.0,
    ) -> None:
        self.weights, self.power = shares(weights, objectives), not_negative(power, "power")

    def init(self) -> DvaoState:
        """Return the empty state."""
        return DvaoState()

    def signal(self, state: DvaoState, batch: Batch) -> tuple[DvaoState, Signal]:
        """The advantage itself; it is the score too. Recorded: the batch's mean weights."""
        rewards = given_rewards(batch, self.weights.shape[0], "dvao")
        weights = weighting(Grouping(batch.prompt, batch.mass, batch.prompt_mass))
        own = self._group_weights(deviations_by_prompt(rewards, weights))
        advantage = (weights.groups.spread(own) * standardised_by_prompt(rewards, batch)).sum(1)
        return state, Signal(advantage, advantage, weights.prompt @ own)

    def _group_weights(self, deviation: Tensor) -> Tensor:
        """λ_j(x): (P, M) from sd_x(r_j); w_j where nothing varies."""
        largest = deviation.amax(1, keepdim=True)
        relative = deviation / torch.where(largest > 0, largest, 1.0)
        share = self.weights * relative**self.power
        total = share.sum(1, keepdim=True)
        return torch.where(total > 0, share / torch.where(total > 0, total, 1.0), self.weights)

    def update(self, state: DvaoState, seen: Observation) -> DvaoState:
        """Nothing adapts after the step."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E11."""
        return ("E11",)
