"""UPGrad: each gradient is projected to where it conflicts with none, then they are averaged."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.scalarizers._given import given_gramian, given_rewards, weighted
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.solvers.least_change import guard_weights
from covlaw.theory.solvers.min_norm import as_gramian


class UpgradState(NamedTuple):
    """Nothing to remember: the weights are this batch's."""


class Upgrad:
    """Unconflicting projection of gradients (Quinton & Rey 2024, arXiv 2406.16232).

    d = Σ_i p_i·(g_i projected onto {d: ⟨g_j, d⟩ ≥ 0 for all j}) = Σ_k λ_k g_k, so d lowers no
    objective in the geometry of the gradients: ⟨g_j, d⟩ ≥ 0. Where no gradients conflict λ is the
    preference. Each projection is the least change of g_i that keeps a floor of 0 (T58), solved to
    rounding; their authors' package adds a multiple of the identity to the Gramian first.

    Args:
        objectives: M names.
        preference: p, one p_j ≥ 0 each, normalised to sum to 1; default: equal.

    Raises:
        CovlawError: on a preference of the wrong number or sign.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(
        self, objectives: Sequence[str], preference: float | Sequence[float] | None = None
    ) -> None:
        self.preference = shares(preference, objectives, "preference")

    def init(self) -> UpgradState:
        """Return the empty state."""
        return UpgradState()

    def signal(self, state: UpgradState, batch: Batch) -> tuple[UpgradState, Signal]:
        """s = λ·r with this batch's weights, normalised to sum to 1."""
        count = self.preference.shape[0]
        weights = projected_weights(given_gramian(batch, count, "upgrad"), self.preference)
        rewards = given_rewards(batch, count, "upgrad")
        return state, Signal(weighted(rewards, weights), weights=weights)

    def update(self, state: UpgradState, seen: Observation) -> UpgradState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E6, with this batch's weights; as with MGDA (E5) they protect in their own geometry."""
        return ("E5", "E6")


def projected_weights(gram: Tensor, preference: Tensor) -> Tensor:
    """λ_k ∝ Σ_i p_i(1[k = i] + μ_ik), μ_i the least change of g_i: (..., M), sum 1.

    Args:
        gram: (..., M, M) inner products of the gradients.
        preference: (M,) p ≥ 0.

    Raises:
        CovlawError: as `min_norm_point`.
    """
    given = as_gramian(gram)
    count = given.shape[-1]
    change = guard_weights(given[..., None, :, :].expand(*given.shape[:-2], count, -1, -1), given)
    raised = change + torch.eye(count).to(given)
    weights = (preference[:, None] * raised).sum(-2)
    return weights / weights.sum(-1, keepdim=True)
