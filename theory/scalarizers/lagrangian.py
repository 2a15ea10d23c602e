"""Lagrangian: one objective rises, the others are held above a minimum by multipliers (E4)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import unknown
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers._given import given_rewards, given_values, row_weight
from covlaw.theory.scalarizers._options import per_objective, positive
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class LagrangianState(NamedTuple):
    """Multipliers."""

    multipliers: Tensor
    """(M,) λ_k in [0, cap]; 0 for the primary objective, whose weight is 1."""


class Lagrangian:
    """Stochastic primal-dual ascent (Mahdavi, Yang & Jin 2013): max J_0 s.t. J_k ≥ b_k.

    s = r_0 + Σ_k λ_k r_k, and after each step λ_k ← clip(λ_k + step·(b_k − J_k), 0, cap). With
    `reference=True` each reward is standardised over the batch first and the mixture is used as
    the advantage, so that a multiplier no longer weighs what the dual problem asks for.

    Args:
        objectives: M names.
        primary: Name of the objective to maximise; default: the first.
        minimum: b_k of each objective (the primary's is not read), in units of its reward.
        step: Step of the multipliers, > 0.
        cap: Largest multiplier.
        reference: As the reference implementation behaves.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset({"values"})

    def __init__(
        self,
        objectives: Sequence[str],
        primary: str | None = None,
        minimum: float | Sequence[float] = 0.5,
        step: float = 0.1,
        cap: float = 10.0,
        reference: bool = False,
    ) -> None:
        names = tuple(objectives)
        if primary is not None and primary not in names:
            raise unknown("primary objective", primary, names)
        self.primary = torch.zeros(len(names), dtype=torch.float64)
        self.primary[0 if primary is None else names.index(primary)] = 1.0
        self.minimum = per_objective(minimum, names, "minimum", 0.5, least=-math.inf)
        self.step, self.cap = positive(step, "step"), positive(cap, "cap")
        self.reference = reference

    def init(self) -> LagrangianState:
        """No constraint weighs yet."""
        return LagrangianState(torch.zeros_like(self.minimum))

    def signal(self, state: LagrangianState, batch: Batch) -> tuple[LagrangianState, Signal]:
        """s = r_0 + Σ λ_k r_k, of standardised rewards with `reference=True`."""
        rewards = given_rewards(batch, self.minimum.shape[0], "lagrangian")
        weights = self.primary + state.multipliers
        if not self.reference:
            return state, Signal(rewards @ weights, weights=weights)
        mixed = standardised(rewards, batch) @ weights
        return state, Signal(mixed, advantage=mixed, weights=weights)

    def update(self, state: LagrangianState, seen: Observation) -> LagrangianState:
        """Raise the multipliers of violated constraints, lower the others."""
        values = given_values(seen, self.minimum.shape[0], "lagrangian")
        moved = state.multipliers + self.step * (self.minimum - values) * (1 - self.primary)
        return LagrangianState(moved.clamp(0.0, self.cap))

    def predictions(self) -> tuple[str, ...]:
        """E4."""
        return ("E4",)


def standardised(rewards: Tensor, batch: Batch) -> Tensor:
    """(r_j − mean)/sd over the whole batch (N, M), of samples with ddof 1; constants give 0."""
    weight, rows = row_weight(batch)[:, None], rewards.shape[0]
    gap = rewards - (weight * rewards).sum(0)
    freedom = 1.0 if batch.mass is not None else (rows - 1) / rows
    spread = ((weight * gap.square()).sum(0) / freedom).sqrt()
    noise = rounding(rewards.abs().amax(0), 4 * rows)
    return torch.where(spread > noise, gap / torch.where(spread > noise, spread, 1.0), 0.0)
