"""GradNorm: weights that make the objectives' weighted gradients equally long (E3)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers._given import given, given_gramian, given_rewards
from covlaw.theory.scalarizers._options import not_negative, positive, shares
from covlaw.theory.scalarizers.protocol import Batch, Observation, Signal


class GradNormState(NamedTuple):
    """Weights for the next batch, and the losses that set the pace."""

    coordinates: Tensor
    """(M,) log λ; with `reference=True` λ itself, which may turn negative."""
    first: Tensor
    """(M,) the first losses seen, 1 before."""
    latest: Tensor
    """(M,) the newest losses seen, 1 before."""
    seen: Tensor
    """() int64 number of losses seen."""


class GradNorm:
    """GradNorm (Chen et al. 2018, arXiv 1711.02257): one step down Σ_j |G_j − Ḡ p_j^α| a batch.

    G_j = λ_j|g_j|, Ḡ their mean, p_j = (L_j/L_j(0))/mean the relative pace, targets held fixed.
    The paper steps on λ; here the same descent is on log λ with G in units of Ḡ, so that weights
    stay positive and no reward scale matters; λ sums to 1 (the paper: M). An objective whose
    gradient is 0 has no length to balance: its weight keeps its share. At α = 0 the weights settle
    at λ_j ∝ 1/|g_j|, within `step` of it (E3).

    With `reference=True` the descent is on λ itself, and the losses are policy-gradient losses of
    any sign: a negative pace has no power 1.5, its target is NaN, and sign(NaN) = 0 hides it.

    Args:
        objectives: M names.
        alpha: α ≥ 0, how much the slower objectives gain; 0 needs no losses.
        step: > 0, step length of the weights.
        reference: As the reference implementation behaves.

    Raises:
        CovlawError: on options outside their domain.
    """

    before: frozenset[str] = frozenset({"gramian"})
    after: frozenset[str] = frozenset({"losses"})

    def __init__(
        self,
        objectives: Sequence[str],
        alpha: float = 1.5,
        step: float = 0.025,
        reference: bool = False,
    ) -> None:
        self.alpha, self.step = not_negative(alpha, "alpha"), positive(step, "step")
        self.equal, self.reference = shares(None, objectives), reference
        if self.alpha == 0:
            self.after = frozenset()

    def init(self) -> GradNormState:
        """Equal weights, no losses seen."""
        start = self.equal if self.reference else self.equal.log()
        one = torch.ones_like(start)
        return GradNormState(start.clone(), one, one.clone(), torch.zeros((), dtype=torch.int64))

    def signal(self, state: GradNormState, batch: Batch) -> tuple[GradNormState, Signal]:
        """s = λ·r with the weights so far; then step towards equal gradient lengths."""
        count = self.equal.shape[0]
        norm = given_gramian(batch, count, "gradnorm").diagonal().clamp(min=0.0).sqrt()
        weights = state.coordinates if self.reference else state.coordinates.exp()
        score = given_rewards(batch, count, "gradnorm") @ weights
        pace = state.latest / state.first
        move = reference_step if self.reference else balancing_step
        moved = move(state.coordinates, norm, (pace / pace.mean()) ** self.alpha, self.step)
        return state._replace(coordinates=moved), Signal(score, weights=weights)

    def update(self, state: GradNormState, seen: Observation) -> GradNormState:
        """Remember the losses; the first ones seen stand for those before training."""
        if self.alpha == 0:
            return state
        losses = given(seen.losses, "losses after each step", self.equal.shape, "gradnorm")
        if not self.reference and not bool((losses > 0).all()):
            raise CovlawError(
                f"gradnorm with alpha > 0 needs losses > 0, got {losses.tolist()}: pass losses "
                "such as the shortfall from the best reward, or set alpha to 0"
            )
        first = state.first if int(state.seen) else losses
        return GradNormState(state.coordinates, first, losses, state.seen + 1)

    def predictions(self) -> tuple[str, ...]:
        """E3."""
        return ("E3",)


def balancing_step(log_weights: Tensor, norm: Tensor, pace: Tensor, step: float) -> Tensor:
    """One descent step on log λ of Σ|G_j − Ḡ·pace_j|/Ḡ, renormalised to Σλ = 1: (M,)."""
    moves = norm > 0
    if not bool(moves.any()):
        return log_weights
    log_length = torch.where(moves, log_weights + norm.log(), -torch.inf)
    length = (log_length - log_length.max()).exp()
    length = length * moves.sum() / length.sum()  # in units of Ḡ
    raised = log_weights - step * torch.sign(length - pace) * length
    # the share of the objectives that move stays theirs
    shift = torch.logsumexp(log_weights[moves], 0) - torch.logsumexp(raised[moves], 0)
    raised = torch.where(moves, raised + shift, log_weights)
    return torch.log_softmax(raised, 0)


def reference_step(weights: Tensor, norm: Tensor, pace: Tensor, step: float) -> Tensor:
    """One descent step on λ of Σ|G_j − Ḡ·pace_j|; where the pace is NaN, none: (M,)."""
    length = weights * norm
    moved = weights - step * torch.sign(length - length.mean() * pace) * norm
    return moved / moved.sum()
