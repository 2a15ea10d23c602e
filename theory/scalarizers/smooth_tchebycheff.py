"""Smooth Tchebycheff: the maximum of the weighted shortfalls becomes a log-sum-exp."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.theory.scalarizers._given import given_rewards
from covlaw.theory.scalarizers._options import per_objective, positive, shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal
from covlaw.theory.scalarizers.tchebycheff import TchebycheffState


class SmoothTchebycheff:
    """Smooth Tchebycheff scalarization of every completion (Lin et al. 2024, arXiv 2402.19078).

    s = −μ·log((1/M)Σ_i e^{w_i(z_i − r_i)/μ}): the paper's μ·log Σ, less the constant μ·log M, which
    no advantage sees. The paper scalarizes losses of one solution; here each completion's rewards
    are scalarized, as in `tchebycheff`, with the best rewards seen as the ideal point.
    max_i w_i(z_i − r_i) − μ·log M ≤ −s ≤ max_i w_i(z_i − r_i), so that Cov(r_j, s) differs from
    Tchebycheff's by at most μ·log M·R_j/4, R_j the range of r_j within prompts (Grüss); as μ grows
    s tends to the linear score Σ_i w_i r_i/M up to a constant.

    Args:
        objectives: M names.
        weights: One w_i ≥ 0 each, normalised to sum to 1; default: equal.
        ideal: z, fixed; None: the best rewards seen.
        smoothing: μ > 0, in units of a weighted reward.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    stacks = True

    def __init__(
        self,
        objectives: Sequence[str],
        weights: float | Sequence[float] | None = None,
        ideal: float | Sequence[float] | None = None,
        smoothing: float = 0.1,
    ) -> None:
        self.weights = shares(weights, objectives)
        fixed = per_objective(ideal, objectives, "ideal", 0.0, least=-math.inf)
        self.ideal = None if ideal is None else fixed
        self.smoothing = positive(smoothing, "smoothing")

    def init(self) -> TchebycheffState:
        """The ideal point that was given, or no reward seen yet."""
        unseen = torch.full_like(self.weights, -torch.inf)
        return TchebycheffState(unseen if self.ideal is None else self.ideal.clone())

    def signal(self, state: TchebycheffState, batch: Batch) -> tuple[TchebycheffState, Signal]:
        """Move z to this batch's best rewards, then S = −μ·log of the mean exponential."""
        rewards = given_rewards(batch, self.weights.shape[0], "smooth_tchebycheff")
        moved = state if self.ideal is not None else state.moved(rewards, batch.mass)
        shortfall = self.weights * moved.shortfall(rewards)
        return moved, Signal(-smooth_maximum(shortfall, self.smoothing))

    def update(self, state: TchebycheffState, seen: Observation) -> TchebycheffState:
        """Nothing adapts after the step."""
        del seen
        return state

    def predictions(self) -> tuple[str, ...]:
        """E8, within μ·log M·R_j/4."""
        return ("E8",)


def smooth_maximum(values: Tensor, smoothing: float) -> Tensor:
    """μ·log of the mean of e^{x/μ} over the last axis: (...), exact to rounding for any μ > 0."""
    largest = values.amax(-1)
    below = torch.expm1((values - largest[..., None]) / smoothing).mean(-1)
    return largest + smoothing * torch.log1p(below)
