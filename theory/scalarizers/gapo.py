"""GAPO: MGDA on gradients that are first divided by a power of their own length."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.scalarizers._given import given_gramian, given_rewards, weighted
from covlaw.theory.scalarizers._options import not_negative
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.solvers.min_norm import min_norm_weights


class GapoState(NamedTuple):
    """Nothing to remember: the weights are this batch's."""


class Gapo:
    """Gradient-adaptive policy optimization (Li et al., ACL 2025, arXiv 2507.01915).

    ĝ_j = g_j/|g_j|^p, d = Σ_j α_j ĝ_j with α the min-norm convex combination of the ĝ_j; the score
    is λ·r, λ_j ∝ α_j/|g_j|^p, scaled to sum to 1. d ascends every objective, ⟨g_j, d⟩ ≥
    |d|²·|g_j|^p, in the geometry of its gradients (E12): p = 0 is `mgda`, which goes slowly
    where one gradient is short; p = 1 gains each objective at least in proportion to its length.
    The form with a user's preferences (P-GAPO) is not offered: its formula was not at hand.

    Args:
        objectives: M names.
        power: p ≥ 0; 1 divides each gradient by its length.

    Raises:
        CovlawError: on a negative power; with a batch, without a Gramian.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(self, objectives: Sequence[str], power: float = 1.0) -> None:
        self.count, self.power = len(objectives), not_negative(power, "power")

    def init(self) -> GapoState:
        """Return the empty state."""
        return GapoState()

    def signal(self, state: GapoState, batch: Batch) -> tuple[GapoState, Signal]:
        """s = λ·r with this batch's weights."""
        gram = given_gramian(batch, self.count, "gapo")
        rewards = given_rewards(batch, self.count, "gapo")
        weights = rescaled_min_norm_weights(gram, self.power)
        return state, Signal(weighted(rewards, weights), weights=weights)

    def update(self, state: GapoState, seen: Observation) -> GapoState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E12."""
        return ("E12",)


def rescaled_min_norm_weights(gram: Tensor, power: float) -> Tensor:
    """λ_j ∝ α_j/|g_j|^p, α the min-norm weights of g_j/|g_j|^p: (..., M), sum 1.

    A gradient that is 0 is left alone: it is the min-norm point and takes all the weight.
    """
    square = gram.diagonal(dim1=-2, dim2=-1)
    # lengths relative to the longest: neither the power of huge nor of tiny ones is lost
    relative = square / square.amax(-1, keepdim=True).clamp(min=torch.finfo(gram.dtype).tiny)
    factor = torch.where(relative > 0, relative, 1.0) ** (-power / 2)
    scaled = min_norm_weights(gram * factor[..., None] * factor[..., None, :])
    weights = scaled * factor
    return weights / weights.sum(-1, keepdim=True)
