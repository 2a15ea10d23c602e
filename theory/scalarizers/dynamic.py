"""Dynamic reward weighting by gradients: log λ_j += κ⟨g_j, Σ_k g_k⟩ (E2)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.scalarizers._given import given_gramian, given_rewards, weighted
from covlaw.theory.scalarizers._options import positive, shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal

REFERENCE_REGULARISATION = 1e-5
"""μ of the reference implementation, whose exponent is lr²/μ·⟨g_j, Σ_k g_k⟩."""


class DynamicState(NamedTuple):
    """Normalised log-weights."""

    log_weights: Tensor
    """(M,) log λ; its exponentials sum to 1."""


class Dynamic:
    """Gradient-based dynamic reward weighting (Lu et al. 2025, arXiv 2509.11452): mirror ascent.

    λ_j ∝ λ_j e^{κ I_j}, I_j = ⟨g_j, Σ_k g_k⟩ on this batch, before it is used. An objective that
    opposes the others (I_j < 0) loses weight: the opposite of CTWA. With `reference=True`
    κ = step²/1e-5: the learning rate enters twice.

    Args:
        objectives: M names.
        step: κ > 0, the paper's η/μ, in 1/(units of the Gramian); with `reference=True` the
            policy's learning rate. Default: the paper's 1e-6/1e-5, or 1e-6.
        weights: λ at the start, normalised; default: equal.
        reference: As the reference implementation behaves.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(
        self,
        objectives: Sequence[str],
        step: float | None = None,
        weights: float | Sequence[float] | None = None,
        reference: bool = False,
    ) -> None:
        default = 1e-6 if reference else 0.1
        given = positive(default if step is None else step, "step")
        self.rate = given**2 / REFERENCE_REGULARISATION if reference else given
        self.start = shares(weights, objectives)

    def init(self) -> DynamicState:
        """Return the starting weights."""
        return DynamicState(self.start.log())

    def signal(self, state: DynamicState, batch: Batch) -> tuple[DynamicState, Signal]:
        """Move λ by this batch's Gramian, then S = λ·r."""
        count = self.start.shape[0]
        influence = given_gramian(batch, count, "dynamic").sum(-1)
        rewards = given_rewards(batch, count, "dynamic")
        moved = DynamicState(torch.log_softmax(state.log_weights + self.rate * influence, -1))
        weights = moved.log_weights.exp()
        return moved, Signal(weighted(rewards, weights), weights=weights)

    def update(self, state: DynamicState, seen: Observation) -> DynamicState:
        """Nothing is learned after the step."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E2."""
        return ("E2",)
