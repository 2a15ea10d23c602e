"""GSPO: PPO's clip on the length-normalised ratio of a whole completion, and its token form."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.losses._token_loss import TokenLoss, by_token
from covlaw.theory.losses.clipping import clipped_surrogate, unclipped, within


@dataclass(frozen=True)
class GSPO(TokenLoss):
    """Minus min(sA, clip(s)A) with s = ρ^{1/L}, ρ the ratio of the whole completion.

    W = s·A·1[not clipped]/L (T51): on policy the law's score is A/L, as under every
    `sequence_mean` (T18). An advantage (N, T) acts through its mean over the unclipped tokens.
    Zheng et al. 2025, arXiv:2507.18071, eq. 5; ranges 3e-4 and 4e-4 (section 5.1).
    """

    published_aggregation: ClassVar[str] = "sequence_mean"
    source: ClassVar[str] = (
        "PPO's clip on ρ^(1/L) of the whole completion (Zheng et al. 2025, arXiv:2507.18071)"
    )

    clip_low: float = 3e-4
    clip_high: float = 4e-4
    aggregation: str = "sequence_mean"

    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """min(sA, clip(s)A), on every token of the completion alike."""
        return clipped_surrogate(advantage, _mean(log_ratio, mask), *self.clip)

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        """Mean over tokens of s·A·1[not clipped]: every token's log-prob moves s by 1/L."""
        if mask is None:
            raise CovlawError(_LENGTHS)
        each = self._each(advantage, log_ratio, mask)
        return torch.where(mask, _mean(each, mask), each.new_zeros(()))

    def clipped(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """All tokens of a clipped completion: with A < 0 (low; dual clip too), A ≥ 0 (high)."""
        advantage, mask = by_token(advantage), mask.to(torch.bool)
        clipped = ~unclipped(advantage, _mean(log_ratio, mask), *self.clip) & mask
        return clipped & (advantage < 0), clipped & (advantage >= 0)

    def bounded_ratio(self, ratio: Tensor, lengths: Tensor) -> Tensor:
        """ρ whose s is held to the range: ρ in [(1 − ε_low)^L, (1 + ε_high)^L]."""
        low, high = (
            ratio.new_full((), x) ** lengths for x in (1 - self.clip_low, 1 + self.clip_high)
        )
        return torch.minimum(torch.maximum(ratio, low), high)

    def _each(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """s·A·1[not clipped] on each token, (N, T) float64, 0 on padding."""
        ratio = _mean(log_ratio.to(torch.float64), mask).exp()
        advantage = advantage.to(torch.float64)
        keep = within(advantage, ratio, self.clip) & mask
        return torch.where(keep, ratio * advantage, ratio.new_zeros(()))


@dataclass(frozen=True)
class GSPOToken(GSPO):
    """GSPO whose gradient reaches each token by itself: s_t = sg(s)·π(y_t)/sg(π(y_t)).

    The value of s_t is s, so value and clip are GSPO's; an advantage (N, T) weighs its own token.
    w_t = s·A_t·1[not clipped]: with one advantage a completion both losses have one gradient.
    Zheng et al. 2025, arXiv:2507.18071, eq. 13.
    """

    source: ClassVar[str] = (
        "GSPO with an advantage a token (Zheng et al. 2025, arXiv:2507.18071, eq. 13)"
    )

    def objective(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """min(s_t·A_t, clip(s_t)·A_t)."""
        own = _mean(log_ratio, mask).detach() + (log_ratio - log_ratio.detach())
        return clipped_surrogate(advantage, own, *self.clip)

    def kept(self, advantage: Tensor, log_ratio: Tensor, mask: Tensor | None) -> Tensor:
        """s·A_t·1[not clipped]."""
        if mask is None:
            raise CovlawError(_LENGTHS)
        return self._each(advantage, log_ratio, mask)


_LENGTHS = (
    "GSPO's ratio is a mean over tokens: give log_ratio (N, T) token-level with its mask (N, T)"
)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over a completion's tokens: (N, 1)."""
    values = torch.where(mask, values, values.new_zeros(()))
    return values.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
