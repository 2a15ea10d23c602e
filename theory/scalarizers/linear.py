"""Linear scalarization: s = λ·r with fixed weights (E6)."""

from collections.abc import Sequence
from typing import NamedTuple

from covlaw.theory.scalarizers._given import weighted
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class LinearState(NamedTuple):
    """Nothing to remember."""


class Linear:
    """Fixed weights λ, normalised to sum to 1; default: equal.

    E6 predicts Cov_j = (Cλ)_j: objective j falls where λ_j Var_j < −Σ_{k≠j} λ_k C_jk.

    Args:
        objectives: M names.
        weights: One non-negative weight an objective (or one number for all), not all 0.

    Raises:
        CovlawError: on weights of the wrong number or sign.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(
        self, objectives: Sequence[str], weights: float | Sequence[float] | None = None
    ) -> None:
        self.weights = shares(weights, objectives)

    def init(self) -> LinearState:
        """Return the empty state."""
        return LinearState()

    def signal(self, state: LinearState, batch: Batch) -> tuple[LinearState, Signal]:
        """s = λ·r."""
        weights = self.weights.expand(*batch.rewards.shape[:-2], -1)
        return state, Signal(weighted(batch.rewards, weights), weights=weights)

    def update(self, state: LinearState, seen: Observation) -> LinearState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E6."""
        return ("E6",)
