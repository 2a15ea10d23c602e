"""FAMO: equalise the rates at which the logarithms of the losses fall, without their gradients."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers._given import given, given_rewards
from covlaw.theory.scalarizers._options import not_negative, positive, shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal

FLOOR = 1e-8
"""Least loss, as a share of the first one seen: an objective that is done keeps a finite weight."""


class FamoState(NamedTuple):
    """Logits, and the losses they were last moved by."""

    logits: Tensor
    """(M,) ξ; z = softmax(ξ)."""
    log_losses: Tensor
    """(M,) of the newest losses, 0 before."""
    log_first: Tensor
    """(M,) of the first losses, 0 before."""
    seen: Tensor
    """() int64 number of losses seen."""


class Famo:
    """Fast adaptive multitask optimization (Liu et al. 2023, arXiv 2306.03792), for rewards.

    λ_j ∝ z_j/ℓ_j, z = softmax(ξ): a step on the loss Σ_j z_j·log ℓ_j. After the step
    ξ ← ξ − β(δ + γξ) with δ_j = z_j(D_j − Σ_k z_k D_k), D_j = log ℓ_j − log ℓ_j⁺ the realised fall:
    objectives whose logarithm falls slower than the average gain weight. At a rest point (γ = 0)
    all fall equally fast.

    What differs from the paper: it has losses, we have rewards, so ℓ_j is a shortfall such as
    "best reward minus mean reward" that the loop supplies (`losses`), with gradient −∇J_j; the
    losses before and after a step are not of the same minibatch but of successive independent
    samples, so that D carries sampling noise; the logits take plain gradient steps (the authors'
    code: Adam); losses are kept above `FLOOR` times the first.

    Args:
        objectives: M names.
        step: β > 0.
        decay: γ ≥ 0, pull of the logits towards equal weights.

    Raises:
        CovlawError: on options outside their domain; on losses that are negative or not finite,
            or 0 at first.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset({"losses"})

    def __init__(
        self, objectives: Sequence[str], step: float = 0.025, decay: float = 0.001
    ) -> None:
        self.equal = shares(None, objectives)
        self.step, self.decay = positive(step, "step"), not_negative(decay, "decay")
        if self.step * self.decay > 1:
            raise CovlawError(f"step·decay is {self.step * self.decay:g}: keep it at most 1")

    def init(self) -> FamoState:
        """Equal weights, no losses seen."""
        zero = torch.zeros_like(self.equal)
        return FamoState(zero, zero.clone(), zero.clone(), torch.zeros((), dtype=torch.int64))

    def signal(self, state: FamoState, batch: Batch) -> tuple[FamoState, Signal]:
        """s = λ·r with λ ∝ z/ℓ."""
        weights = torch.softmax(torch.log_softmax(state.logits, 0) - state.log_losses, 0)
        rewards = given_rewards(batch, self.equal.shape[0], "famo")
        return state, Signal(rewards @ weights, weights=weights)

    def update(self, state: FamoState, seen: Observation) -> FamoState:
        """Move the logits by how far each logarithm fell; the first losses only start it."""
        losses = given(seen.losses, "losses after each step", self.equal.shape, "famo")
        started = int(state.seen) > 0
        if not bool((losses >= 0).all()) or not (started or bool((losses > 0).all())):
            raise CovlawError(
                f"famo needs losses ≥ 0, the first ones > 0, got {losses.tolist()}: pass losses "
                "such as the shortfall from the best reward"
            )
        first = state.log_first if started else losses.log()
        fresh = torch.maximum(losses.log(), first + torch.tensor(FLOOR).log())
        fall = state.log_losses - fresh if started else torch.zeros_like(fresh)
        return FamoState(self._moved(state.logits, fall), fresh, first, state.seen + 1)

    def predictions(self) -> tuple[str, ...]:
        """E6, with this batch's weights."""
        return ("E6",)

    def _moved(self, logits: Tensor, fall: Tensor) -> Tensor:
        share = torch.softmax(logits, 0)
        return logits - self.step * (share * (fall - share @ fall) + self.decay * logits)
