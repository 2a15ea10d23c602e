"""Tchebycheff: s = −max_i w_i(z_i − r_i), the worst shortfall from an ideal point (E8)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers._given import given_rewards
from covlaw.theory.scalarizers._options import per_objective, shares
from covlaw.theory.scalarizers._token_tchebycheff import token_advantage
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class TchebycheffState(NamedTuple):
    """The ideal point so far."""

    ideal: Tensor
    """(M,) z, −∞ before the first batch."""

    def moved(self, rewards: Tensor, mass: Tensor | None) -> "TchebycheffState":
        """Move z to the best of each reward (N, M), of those with mass > 0 where it is given."""
        seen = rewards if mass is None else torch.where(mass[..., None] > 0, rewards, -torch.inf)
        return TchebycheffState(torch.maximum(self.ideal, seen.amax(-2)))

    def shortfall(self, rewards: Tensor) -> Tensor:
        """Shortfall z − r of every completion: (N, M)."""
        return self.ideal[..., None, :] - rewards


class Tchebycheff:
    """Weighted Tchebycheff scalarization of every completion (Bowman 1976, there on values).

    The ideal point is the best of each reward seen so far, this batch included, so that every
    shortfall is ≥ 0. With `reference=True` z starts at 0 (the padding), and the maximum is taken
    token by token: every token but the last gets −max_i w_i z_i. That constant is harmless under
    GRPO and a length penalty under REINFORCE++, whose advantage (N, T) is then returned.

    Args:
        objectives: M names.
        weights: One w_i ≥ 0 each, normalised to sum to 1; default: equal.
        ideal: z, fixed; None: the best rewards seen.
        reference: As the reference implementation behaves.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()

    def __init__(
        self,
        objectives: Sequence[str],
        weights: float | Sequence[float] | None = None,
        ideal: float | Sequence[float] | None = None,
        reference: bool = False,
    ) -> None:
        self.weights = shares(weights, objectives)
        fixed = per_objective(ideal, objectives, "ideal", 0.0, least=-math.inf)
        self.ideal = None if ideal is None else fixed
        if reference and ideal is not None:
            raise CovlawError("ideal: the reference moves its own; leave ideal or reference out")
        self.reference = reference
        self.stacks = not reference
        if reference:
            self.before = frozenset({"mask"})

    def init(self) -> TchebycheffState:
        """No reward seen yet."""
        if self.ideal is not None:
            return TchebycheffState(self.ideal.clone())
        start = 0.0 if self.reference else -torch.inf
        return TchebycheffState(torch.full_like(self.weights, start))

    def signal(self, state: TchebycheffState, batch: Batch) -> tuple[TchebycheffState, Signal]:
        """Move z to this batch's best rewards, then S = −max_i w_i(z_i − r_i)."""
        rewards = given_rewards(batch, self.weights.shape[0], "tchebycheff")
        moved = state if self.ideal is not None else state.moved(rewards, batch.mass)
        score = -(self.weights * moved.shortfall(rewards)).amax(-1)
        if not self.reference:
            return moved, Signal(score)
        unrewarded = -(self.weights * moved.ideal).max()
        return moved, Signal(score, token_advantage(score, unrewarded, batch.mask))

    def update(self, state: TchebycheffState, seen: Observation) -> TchebycheffState:
        """Nothing adapts after the step."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E8."""
        return ("E8",)
