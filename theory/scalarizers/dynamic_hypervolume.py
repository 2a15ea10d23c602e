"""Dynamic reward weighting by hypervolume: the score is scaled by what the new values add."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.scalarizers._given import given_rewards, given_values
from covlaw.theory.scalarizers._hypervolume import added_hypervolume
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal

FRONT = 32
"""Points of the Pareto front that are remembered: the newest."""


class DynamicHypervolumeState(NamedTuple):
    """The front so far, in arrays of fixed size."""

    floor: Tensor
    """(M,) the first values seen: where the hypervolume starts; −∞ before."""
    front: Tensor
    """(FRONT, M) undominated values, newest last; −∞ in rows not used yet."""
    factor: Tensor
    """() what the next score is multiplied by."""


class DynamicHypervolume:
    """Hypervolume-guided weight adaptation (Lu et al. 2025, arXiv 2509.11452).

    s = f·λ·r with fixed λ and f = ½ + (3/2)·tanh(H), H the hypervolume that the values seen after
    the last step add to the front of those before. One factor a batch: any normaliser that is
    free of scale (GRPO's, whitening) divides it out again.

    Args:
        objectives: M names.
        weights: One λ_j ≥ 0 each, normalised to sum to 1; default: equal.

    Raises:
        CovlawError: on weights of the wrong number or sign.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset({"values"})

    def __init__(
        self, objectives: Sequence[str], weights: float | Sequence[float] | None = None
    ) -> None:
        self.weights = shares(weights, objectives)

    def init(self) -> DynamicHypervolumeState:
        """Nothing seen: factor 1."""
        unseen = torch.full_like(self.weights, -torch.inf)
        return DynamicHypervolumeState(
            unseen, unseen.repeat(FRONT, 1), torch.ones((), dtype=torch.float64)
        )

    def signal(
        self, state: DynamicHypervolumeState, batch: Batch
    ) -> tuple[DynamicHypervolumeState, Signal]:
        """s = f·λ·r."""
        weights = state.factor * self.weights
        rewards = given_rewards(batch, self.weights.shape[0], "dynamic_hypervolume")
        return state, Signal(rewards @ weights, weights=weights)

    def update(self, state: DynamicHypervolumeState, seen: Observation) -> DynamicHypervolumeState:
        """Take the new values into the front, and set the next factor by what they add."""
        values = given_values(seen, self.weights.shape[0], "dynamic_hypervolume")
        if bool(torch.isinf(state.floor).all()):
            return state._replace(floor=values)
        known = state.front[torch.isfinite(state.front).all(1)]
        added = torch.tensor(added_hypervolume(values, known, state.floor), dtype=torch.float64)
        factor = 0.5 + 1.5 * torch.tanh(added.clamp(min=0.0))
        return DynamicHypervolumeState(state.floor, _with(known, values), factor)

    def predictions(self) -> tuple[str, ...]:
        """E6: a factor changes no sign."""
        return ("E6",)


def _with(known: Tensor, values: Tensor) -> Tensor:
    """The front with a new point, padded to its fixed size."""
    beaten = bool((known >= values).all(1).any())
    kept = known if beaten else torch.cat([known[~(values >= known).all(1)], values[None]])
    kept = kept[-FRONT:]
    unused = values.new_full((FRONT - kept.shape[0], values.shape[0]), -torch.inf)
    return torch.cat([unused, kept])
