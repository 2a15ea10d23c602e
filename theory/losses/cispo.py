"""CISPO: the importance ratio is clipped as a weight, and no token is dropped."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.losses._token_loss import TokenLoss


@dataclass(frozen=True)
class CISPO(TokenLoss):
    """Minus sg(clip(ρ, 1 − ε_low, 1 + ε_high))·A·log π on tokens.

    W = clip(ρ)·A (T50): its sign is A's, whatever ρ; s = A. MiniMax 2025, arXiv:2506.13585, eq. 4
    and 5: mean over the batch's tokens, no lower bound (`clip_low = 1`). The paper tunes ε_high and
    does not say its value; here ρ ≤ 5, as Khatri et al. 2025 (ScaleRL, arXiv:2510.13786) and TRL's
    `epsilon_high = 5` have it. The value is Σ clip(ρ)·A·(log π − log π_old): the same gradient.

    Raises:
        CovlawError: on a dual clip beside what `TokenLoss` refuses: there is none in this loss.
    """

    published_aggregation: ClassVar[str] = "token_mean"
    source: ClassVar[str] = "sg(clip(ρ))·A·log π on tokens (MiniMax 2025, arXiv:2506.13585)"

    clip_low: float = 1.0
    clip_high: float = 4.0
    aggregation: str = "token_mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dual_clip is not None:
            raise CovlawError(
                f"dual_clip is {self.dual_clip}: cispo has none, its clip_high bounds ρ for A < 0 "
                "too; leave dual_clip out"
            )

    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """sg(clip(ρ))·A·(log π − log π_old)."""
        del mask
        held = self._held(log_ratio.detach().exp())
        held = torch.where(advantage == 0, 1.0, held)  # 0·inf would be NaN
        return held * advantage * log_ratio

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        """clip(ρ)·A."""
        ratio = log_ratio.to(torch.float64, copy=True).exp_()
        weight = self._held(ratio) * advantage.to(torch.float64)
        return weight if mask is None else torch.where(mask, weight, weight.new_zeros(()))

    def clipped(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens whose ratio is held at the lower bound, and at the upper one."""
        del advantage  # whatever its sign
        mask, ratio = mask.to(torch.bool), log_ratio.exp()
        return (ratio < 1 - self.clip_low) & mask, (ratio > 1 + self.clip_high) & mask

    def _held(self, ratio: Tensor) -> Tensor:
        return ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
