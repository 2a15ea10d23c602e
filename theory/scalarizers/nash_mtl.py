"""Nash-MTL: the objectives bargain, and each gains in inverse proportion to its weight."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.scalarizers._extra import from_aggregators
from covlaw.theory.scalarizers._given import given_gramian, given_rewards, weighted
from covlaw.theory.scalarizers._options import choice, shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.solvers.nash_bargaining import nash_bargain
from covlaw.theory.solvers.wolfe import correlation

SOLVERS = ("exact", "torchjd")


class NashMtlState(NamedTuple):
    """Nothing to remember: the weights are this batch's."""


class NashMtl:
    """Multi-task learning as a bargaining game (Navon et al. 2022, arXiv 2202.01017).

    s = λ·r, λ ∝ α with Gα = 1/α: every objective gains ⟨g_j, d⟩ = 1/α_j > 0 along d = Σ_k α_k g_k.
    Where some convex combination of the gradients vanishes no step raises them all and there is no
    bargain: the min-norm weights, which then stop the step, are used.

    The default solves the equation to rounding (`nash_bargaining`). `solver="torchjd"` runs the
    authors' sequence of convex programmes as TorchJD 0.18 does, afresh each batch: on some Gramians
    it stops far from the solution (a weight six times too large was seen), and where its solver
    fails the weights stay where they were, at first equal.

    Args:
        objectives: M names.
        solver: exact, or torchjd.

    Raises:
        CovlawError: on an unknown solver, and for torchjd without the extra `aggregators`.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()

    def __init__(self, objectives: Sequence[str], solver: str = "exact") -> None:
        self.equal, self.solver = shares(None, objectives), choice(solver, "solver", SOLVERS)
        self.stacks = solver == "exact"
        if solver == "torchjd":
            self._aggregator = from_aggregators("torchjd.aggregation", "nash_mtl").NashMTL
            for package in ("cvxpy", "ecos"):
                from_aggregators(package, "nash_mtl")

    def init(self) -> NashMtlState:
        """Return the empty state."""
        return NashMtlState()

    def signal(self, state: NashMtlState, batch: Batch) -> tuple[NashMtlState, Signal]:
        """s = λ·r with this batch's weights."""
        count = self.equal.shape[0]
        gram = given_gramian(batch, count, "nash_mtl")
        weights = nash_bargain(gram).weights if self.solver == "exact" else self._torchjd(gram)
        rewards = given_rewards(batch, count, "nash_mtl")
        return state, Signal(weighted(rewards, weights), weights=weights)

    def update(self, state: NashMtlState, seen: Observation) -> NashMtlState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E6, with this batch's weights; as with MGDA (E5) they protect in their own geometry."""
        return ("E5", "E6")

    def _torchjd(self, gram: Tensor) -> Tensor:
        """The aggregator's weights for rows with these correlations, back in units of the norms."""
        norm = gram.diagonal().clamp(min=0.0).sqrt()
        live = norm > 0
        if int(live.sum()) < 2:  # it refuses a single row
            return live.to(gram) if bool(live.any()) else self.equal
        values, vectors = torch.linalg.eigh(correlation(gram)[live][:, live])
        rows = vectors * values.clamp(min=0.0).sqrt()  # a Cholesky factor would need full rank
        aggregator = self._aggregator(n_tasks=len(rows), max_norm=0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cvxpy's, about how the programme is parametrised
            power: Tensor = aggregator.weighting(rows)
        weights = torch.zeros_like(norm)
        weights[live] = power.to(gram) / (norm[live] / norm[live].min())
        return weights / weights.sum()
