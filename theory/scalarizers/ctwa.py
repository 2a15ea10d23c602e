"""CTWA: raise the log-weight of every objective whose covariance is below its target (part C)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError
from covlaw.theory.scalarizers.options import per_objective, positive
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class CtwaState(NamedTuple):
    """Log-weights u and the running covariances."""

    log_weights: Tensor
    """(M,) u, 0 at the start, never above the cap."""
    covariance: Tensor
    """(M,) EMA of the observed covariances."""
    seen: Tensor
    """() int64 number of observations; the first one starts the EMA."""


class Ctwa:
    """Covariance-targeted weight adaptation (Lu & Jiang 2026): s = λ·r, u += η·relu(c − EMA(y)).

    The weights λ ∝ e^u are normalised to sum to 1: without effect on a scale-free advantage, and
    on a raw one it keeps CTWA from raising the learning rate (THEORY C, guidance 4).

    Args:
        objectives: M names.
        target: c ≥ 0, the covariance asked of each objective (one number or one each), in units
            of reward × observed signal.
        step: η > 0, log-weight per unit of missing covariance.
        ema: τ in (0, 1], share of the new observation. Keep step·target/τ ≤ 0.3 (T40).
        cap: Largest log-weight; bounds any two weights' ratio by e^cap.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset({"covariance"})

    def __init__(
        self,
        objectives: Sequence[str],
        target: float | Sequence[float] | None = None,
        step: float = 0.05,
        ema: float = 0.1,
        cap: float = 10.0,
    ) -> None:
        self.target = per_objective(target, objectives, "target", 0.1)
        self.step = positive(step, "step")
        self.ema = positive(ema, "ema", 1.0)
        self.cap = positive(cap, "cap")

    def init(self) -> CtwaState:
        """Equal weights, nothing seen."""
        zero = torch.zeros_like(self.target)
        return CtwaState(zero, zero.clone(), torch.zeros((), dtype=torch.int64))

    def signal(self, state: CtwaState, batch: Batch) -> tuple[CtwaState, Signal]:
        """S = λ·r with λ = softmax(u)."""
        weights = torch.softmax(state.log_weights, 0)
        return state, Signal(batch.rewards @ weights, weights=weights)

    def update(self, state: CtwaState, seen: Observation) -> CtwaState:
        """Move the log-weights of the objectives below target."""
        if seen.covariance is None or not bool(torch.isfinite(seen.covariance).all()):
            raise CovlawError(
                f"ctwa needs a finite covariance after each step, got {seen.covariance}"
            )
        fresh = seen.covariance.to(torch.float64)
        rate = self.ema if int(state.seen) else 1.0
        covariance = (1 - rate) * state.covariance + rate * fresh
        raised = state.log_weights + self.step * torch.relu(self.target - covariance)
        return CtwaState(raised.clamp(max=self.cap), covariance, state.seen + 1)

    def predictions(self) -> tuple[str, ...]:
        """E1."""
        return ("E1",)
