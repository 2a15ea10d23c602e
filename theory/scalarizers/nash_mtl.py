"""Nash-MTL: the objectives bargain, and each gains in inverse proportion to its weight."""

from collections.abc import Sequence
from typing import NamedTuple

from covlaw.theory.scalarizers._given import given_gramian, given_rewards, weighted
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.solvers.nash_bargaining import nash_bargain


class NashMtlState(NamedTuple):
    """Nothing to remember: the weights are this batch's."""


class NashMtl:
    """Multi-task learning as a bargaining game (Navon et al. 2022, arXiv 2202.01017).

    s = λ·r, λ ∝ α with Gα = 1/α: every objective gains ⟨g_j, d⟩ = 1/α_j > 0 along d = Σ_k α_k g_k.
    Where some convex combination of the gradients vanishes no step raises them all and there is no
    bargain: the min-norm weights, which then stop the step, are used.

    The equation is solved to rounding (`nash_bargaining`). The authors' sequence of convex
    programmes, which TorchJD 0.18 runs, stops far from the solution on some Gramians (a weight six
    times too large was seen), and where its solver fails the weights stay where they were.

    Args:
        objectives: M names.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(self, objectives: Sequence[str]) -> None:
        self.equal = shares(None, objectives)

    def init(self) -> NashMtlState:
        """Return the empty state."""
        return NashMtlState()

    def signal(self, state: NashMtlState, batch: Batch) -> tuple[NashMtlState, Signal]:
        """s = λ·r with this batch's weights."""
        count = self.equal.shape[0]
        gram = given_gramian(batch, count, "nash_mtl")
        weights = nash_bargain(gram).weights
        rewards = given_rewards(batch, count, "nash_mtl")
        return state, Signal(weighted(rewards, weights), weights=weights)

    def update(self, state: NashMtlState, seen: Observation) -> NashMtlState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E6, with this batch's weights; as with MGDA (E5) they protect in their own geometry."""
        return ("E5", "E6")
