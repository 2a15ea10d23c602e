"""UPGrad: each gradient is projected to where it conflicts with none, then they are averaged."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from covlaw.theory.scalarizers._extra import from_aggregators
from covlaw.theory.scalarizers._given import given_gramian, given_rewards
from covlaw.theory.scalarizers._options import shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.solvers.min_norm import PSD_TOLERANCE
from covlaw.theory.solvers.wolfe import correlation

REGULARISATION = 2 * PSD_TOLERANCE
"""Added to the diagonal, relative to the trace: more than rounding can take from a Gramian."""


class UpgradState(NamedTuple):
    """Nothing to remember: the weights are this batch's."""


class Upgrad:
    """Unconflicting projection of gradients (Quinton & Rey 2024, arXiv 2406.16232), by TorchJD.

    d = Σ_i p_i·(g_i projected onto {d: ⟨g_j, d⟩ ≥ 0 for all j}) = Σ_k λ_k g_k, so d lowers no
    objective in the geometry of the gradients: ⟨g_j, d⟩ ≥ 0, up to `REGULARISATION`. Where no
    gradients conflict λ is the preference. The Gramian is passed as correlations, since TorchJD
    takes gradients of squared norm below 1e-4 for 0; the projections do not depend on the norms.

    Args:
        objectives: M names.
        preference: p, one p_j ≥ 0 each, normalised to sum to 1; default: equal.

    Raises:
        CovlawError: on a preference of the wrong number or sign, and without the extra
            `aggregators`.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset()

    def __init__(
        self, objectives: Sequence[str], preference: float | Sequence[float] | None = None
    ) -> None:
        self.preference = shares(preference, objectives, "preference")
        self._weighting = from_aggregators("torchjd.aggregation", "upgrad").UPGradWeighting
        projector = from_aggregators("torchjd.linalg", "upgrad").QuadprogProjector
        for package in ("qpsolvers", "quadprog"):
            from_aggregators(package, "upgrad")
        self._projector = projector(norm_eps=0.0, reg_eps=REGULARISATION)

    def init(self) -> UpgradState:
        """Return the empty state."""
        return UpgradState()

    def signal(self, state: UpgradState, batch: Batch) -> tuple[UpgradState, Signal]:
        """S = λ·r with this batch's weights, normalised to sum to 1."""
        count = self.preference.shape[0]
        weights = self._weights(given_gramian(batch, count, "upgrad"))
        return state, Signal(given_rewards(batch, count, "upgrad") @ weights, weights=weights)

    def update(self, state: UpgradState, seen: Observation) -> UpgradState:
        """Nothing adapts."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E6, with this batch's weights; as with MGDA (E5) they protect in their own geometry."""
        return ("E5", "E6")

    def _weights(self, gram: Tensor) -> Tensor:
        norm = gram.diagonal().clamp(min=0.0).sqrt()
        live = norm > 0
        # an objective without gradient conflicts with none: it keeps its preference
        if not bool((live & (self.preference > 0)).any()):
            return self.preference
        unit = norm[live] / norm[live].max()
        preference = self.preference[live] * unit
        angle = correlation(gram)[live][:, live]
        raised: Tensor = self._weighting(preference, self._projector)(angle)
        weights = self.preference.clone()
        weights[live] = raised / unit
        return weights / weights.sum()
