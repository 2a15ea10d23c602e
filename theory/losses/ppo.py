"""PPO's clipped surrogate on token ratios, and DAPO's settings of it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from covlaw.theory.losses._token_loss import TokenLoss, by_token
from covlaw.theory.losses.clipping import clipped_surrogate, unclipped, within


@dataclass(frozen=True)
class PPO(TokenLoss):
    """Minus min(ρA, clip(ρ, 1 − ε_low, 1 + ε_high)·A) on tokens, with dual clip if asked for.

    W = ρ·A·1[not clipped] (T24), averaged over the completion's tokens; s = A, or A/L under
    `sequence_mean` (T18). Schulman et al. 2017, arXiv:1707.06347, eq. 7; dual clip: Ye et al. 2020,
    arXiv:1912.09729, eq. 6.
    """

    source: ClassVar[str] = "min(ρA, clip(ρ)A) on tokens (Schulman et al. 2017, arXiv:1707.06347)"

    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """min(ρA, clip(ρ)A)."""
        del mask
        return clipped_surrogate(advantage, log_ratio, *self.clip)

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        """ρ·A·1[not clipped]."""
        ratio = log_ratio.to(torch.float64, copy=True).exp_()
        advantage = advantage.to(torch.float64)
        keep = within(advantage, ratio, self.clip)
        keep = keep if mask is None else keep & mask
        return torch.where(keep, ratio.mul_(advantage), ratio.new_zeros(()))

    def clipped(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Clipped tokens with A < 0 (low; dual clip too), and with A ≥ 0 (high)."""
        advantage = by_token(advantage)
        clipped = ~unclipped(advantage, log_ratio, *self.clip) & mask.to(torch.bool)
        return clipped & (advantage < 0), clipped & (advantage >= 0)


@dataclass(frozen=True)
class DAPO(PPO):
    """PPO's loss with a wider upper range (clip-higher) and a mean over the batch's tokens.

    W and s are PPO's under `token_mean`. Yu et al. 2025, arXiv:2503.14476, eq. 8 with
    ε_low = 0.2, ε_high = 0.28; its dynamic sampling and overlong shaping are no part of the loss.
    """

    published_aggregation: ClassVar[str] = "token_mean"
    source: ClassVar[str] = (
        "PPO's with clip-higher and a token mean (Yu et al. 2025, arXiv:2503.14476)"
    )

    clip_high: float = 0.28
    aggregation: str = "token_mean"
