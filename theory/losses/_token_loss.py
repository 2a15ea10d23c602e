"""What all losses over tokens share: padding, aggregation, and W and s from token weights."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64, plain
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.losses.aggregation import aggregate, check_aggregation, divisor, share_of
from covlaw.theory.losses.clipping import Clip, check_clip

CHUNK = 2**17
"""Tokens worked on at once: the float64 copies stay in cache, and memory does not grow with N."""


@dataclass(frozen=True)
class TokenLoss(ABC):
    """A loss whose gradient is a weight on every token's log-prob (`PolicyLoss`).

    A loss says what it maximises on a token (`objective`), what that weighs (`kept`), and what its
    range held back (`clipped`); the rest follows.

    Args:
        clip_low: Lower range ε_low in [0, 1]; 1 switches it off.
        clip_high: Upper range ε_high ≥ 0; inf switches it off.
        dual_clip: Bound c > 1 on ρ where A < 0, or None.
        aggregation: Of `AGGREGATIONS`.

    Raises:
        CovlawError: on clip ranges outside their domain and unknown aggregations.
    """

    published_aggregation: ClassVar[str] = ""
    source: ClassVar[str] = ""

    clip_low: float = 0.2
    clip_high: float = 0.2
    dual_clip: float | None = None
    aggregation: str = "sequence_sum"

    def __post_init__(self) -> None:
        check_clip(*self.clip)
        check_aggregation(self.aggregation)

    @property
    def clip(self) -> Clip:
        """`(clip_low, clip_high, dual_clip)`."""
        return self.clip_low, self.clip_high, self.dual_clip

    @abstractmethod
    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """What is maximised on each token: (N, T), differentiable; 0 stands on padding."""

    @abstractmethod
    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        """Factor of ∇log π on each token before any division, float64, 0 on padding.

        Padding may hold NaN: it is selected away, not multiplied by 0. Without `mask` the
        tensors are sequence-level.
        """

    @abstractmethod
    def clipped(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Which tokens the lower and the upper range held back: (N, T) bool each."""

    def loss(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """Minus the aggregated objective: a scalar."""
        mask = mask.to(torch.bool)
        safe = torch.where(mask, log_ratio, log_ratio.new_zeros(()))
        per_token = by_token(advantage.to(safe.dtype))
        per_token = torch.where(mask, per_token, per_token.new_zeros(()))
        return -self.aggregate(self.objective(per_token, safe, mask), mask)

    def token_weight(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """W (N, T) of T24: `kept`, divided where the loss divides a completion's own sum."""
        mask = mask.to(torch.bool)
        own = divisor(mask.sum(1), self.aggregation)
        with torch.no_grad():
            kept = self.kept(by_token(advantage), log_ratio, mask)
        return kept if own is None else kept / own[:, None]

    def weight(self, advantage: Numbers, log_ratio: Numbers, mask: Numbers | None = None) -> Tensor:
        """W (N,): a constant of the loss, no gradient flows through it.

        A completion without tokens gets 0.

        Raises:
            CovlawError: on shapes that do not fit, a missing mask where lengths matter, and
                weights that are not finite (NaN in a completion, or an unclipped ratio that
                overflows).
        """
        log_ratio, advantage = (
            t.detach() if isinstance(t, Tensor) else as_float64(t, what)
            for t, what in ((log_ratio, "log_ratio"), (advantage, "advantage"))
        )
        advantage = advantage.to(log_ratio.device)
        mask = None if mask is None else torch.as_tensor(plain(mask), device=log_ratio.device)
        _check_shapes(advantage, log_ratio, mask)
        with torch.no_grad():
            if mask is None:
                self._require_no_lengths()
                weight = self.kept(advantage, log_ratio, None)
            else:
                weight = self._mean(by_token(advantage), log_ratio, mask.to(torch.bool))
        _require_finite(weight)
        return weight

    def score(self, advantage: Tensor, lengths: Tensor) -> Tensor | None:
        """A, or A/L where the loss divides by lengths; None for an advantage (N, T).

        A constant in A is neutral in the first and not in the second, where it pays for short
        completions (a > 0) or long ones (a < 0). `token_mean` divides by the tokens of the whole
        batch, one divisor for all: A, apart from its noise (`pair_effective_score`).
        """
        if advantage.ndim == 2:
            return None
        own = divisor(lengths, self.aggregation)
        advantage = as_float64(advantage, "advantage")
        return advantage if own is None else advantage / own

    def bounded_ratio(self, ratio: Tensor, lengths: Tensor) -> Tensor:
        """ρ held to [1 − ε_low, 1 + ε_high]."""
        del lengths
        return ratio.clamp(1 - self.clip_low, 1 + self.clip_high)

    def aggregate(self, per_token: Tensor, mask: Tensor) -> Tensor:
        """From (N, T) to one number, as the loss does."""
        return aggregate(per_token, mask, self.aggregation)

    def share(self, part: Tensor, batch: Tensor) -> float:
        """Weight of some rows' loss in their batch's."""
        return share_of(part, batch, self.aggregation)

    def _mean(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        rows = max(1, CHUNK // max(log_ratio.shape[1], 1))
        means = [log_ratio.new_zeros(0, dtype=torch.float64)]
        for start in range(0, log_ratio.shape[0], rows):
            a, x, m = (t[start : start + rows] for t in (advantage, log_ratio, mask))
            means.append(self.kept(a, x, m).sum(1) / m.sum(1).clamp(min=1))
        own = divisor(mask.sum(1), self.aggregation)
        return torch.cat(means) if own is None else torch.cat(means) / own

    def _require_no_lengths(self) -> None:
        if self.aggregation == "sequence_mean":
            raise CovlawError(
                "this loss divides by lengths: give log_ratio (N, T) token-level with its mask"
            )


def by_token(advantage: Tensor) -> Tensor:
    """(N,) → (N, 1); (N, T) as it is."""
    return advantage.reshape(advantage.shape[0], -1)


def _require_finite(weight: Tensor) -> None:
    bad = ~torch.isfinite(weight)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(
            f"the effective weight of row {row} is {weight[row].item()}: check its advantage and "
            "the log-probs of both policies for NaN and overflow"
        )


def _check_shapes(advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> None:
    shape = tuple(log_ratio.shape)
    if log_ratio.ndim not in (1, 2) or (log_ratio.ndim == 2) != (mask is not None):
        raise CovlawError(
            f"log_ratio has shape {shape}: give (N, T) token-level with a mask (N, T), or (N,) "
            "sequence-level without"
        )
    if mask is not None and tuple(mask.shape) != shape:
        raise CovlawError(f"mask {tuple(mask.shape)} does not fit log_ratio {shape}")
    if tuple(advantage.shape) not in {shape[:1], (*shape[:1], 1)[: len(shape)], shape}:
        raise CovlawError(f"advantage {tuple(advantage.shape)} does not fit log_ratio {shape}")
