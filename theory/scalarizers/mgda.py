"""MGDA: the min-norm convex combination of the objectives' policy gradients (E5)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.scalarizers._given import given_gramian, given_rewards, weighted
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.solvers.min_norm import min_norm_weights

REFERENCE_STEPS = 200
"""Projected-gradient steps of the reference implementation's solver."""


class MgdaState(NamedTuple):
    """Nothing to remember: the weights are this batch's."""


class Mgda:
    """Multiple-gradient descent (Désidéri 2012): s = λ·r, λ = argmin over the simplex of λ'Gλ.

    d = Σ_k λ_k g_k ascends every objective: ⟨g_j, d⟩ ≥ |d|². With `reference=True` λ comes from
    200 projected-gradient steps of length 2/L on ½λ'Gλ from equal weights, L the largest
    eigenvalue of G: the longest step that need not converge. With two objectives the reference has
    the closed form, exact: λ_1 = ⟨g_2 − g_1, g_2⟩/|g_1 − g_2|², cut to [0, 1].

    Args:
        objectives: M names.
        reference: As the reference implementation behaves.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(self, objectives: Sequence[str], reference: bool = False) -> None:
        self.equal = shares(None, objectives)
        self.reference = reference

    def init(self) -> MgdaState:
        """Return the empty state."""
        return MgdaState()

    def signal(self, state: MgdaState, batch: Batch) -> tuple[MgdaState, Signal]:
        """s = λ·r with this batch's min-norm weights."""
        count = self.equal.shape[0]
        gram = given_gramian(batch, count, "mgda")
        weights = self._reference(gram) if self.reference else min_norm_weights(gram)
        rewards = given_rewards(batch, count, "mgda")
        return state, Signal(weighted(rewards, weights), weights=weights)

    def update(self, state: MgdaState, seen: Observation) -> MgdaState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E5."""
        return ("E5",)

    def _reference(self, gram: Tensor) -> Tensor:
        return closed_form(gram) if gram.shape[-1] == 2 else projected_gradient(gram, self.equal)


def closed_form(gram: Tensor) -> Tensor:
    """Min-norm weights of two gradients (..., 2); equal where the gradients are: (..., 2)."""
    apart = gram[..., 0, 0] + gram[..., 1, 1] - gram[..., 0, 1] - gram[..., 1, 0]
    some = apart > 0
    first = (gram[..., 1, 1] - gram[..., 0, 1]) / torch.where(some, apart, 1.0)
    first = torch.where(some, first, 0.5).clamp(0.0, 1.0)
    return torch.stack([first, 1 - first], -1)


def projected_gradient(gram: Tensor, start: Tensor, steps: int = REFERENCE_STEPS) -> Tensor:
    """λ ← P(λ − (2/L)Gλ), P the projection on the simplex, `steps` times: (..., M)."""
    largest = torch.linalg.eigvalsh(gram)[..., -1:]
    length = torch.where(largest > 0, 2 / largest, 0.0)
    weights = start.expand(gram.shape[:-1])
    for _ in range(steps):
        weights = _onto_simplex(weights - length * weighted(gram, weights))
    return weights


def _onto_simplex(point: Tensor) -> Tensor:
    """Euclidean projection on the simplex (Held, Wolfe and Crowder 1974), by sorting."""
    count = torch.arange(1, point.shape[-1] + 1)
    falling = point.sort(descending=True).values
    excess = (falling.cumsum(-1) - 1) / count
    last = ((falling > excess) * count).amax(-1, keepdim=True) - 1
    return torch.relu(point - excess.gather(-1, last))
