"""The effective weight of PPO/GRPO clipping: W = ρ·A·1[not clipped]."""

import math

import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError


def check_clip(clip_low: float, clip_high: float, dual_clip: float | None = None) -> None:
    """Refuse clip ranges outside their domain: 0 ≤ low ≤ 1, high ≥ 0, dual > 1.

    `clip_low=1, clip_high=inf` switches clipping off.
    """
    if not 0 <= clip_low <= 1:
        raise CovlawError(f"clip_low is {clip_low}: use a value in [0, 1] (1 switches it off)")
    if math.isnan(clip_high) or clip_high < 0:
        raise CovlawError(f"clip_high is {clip_high}: use a value ≥ 0 (inf switches it off)")
    if dual_clip is not None and not dual_clip > 1:
        raise CovlawError(f"dual_clip is {dual_clip}: use a value > 1, or None to switch it off")


def unclipped(
    advantage: Tensor,
    log_ratio: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """1[not clipped] of part B: A ≥ 0 → ρ ≤ 1+high; A < 0 → ρ ≥ 1−low (and ρ ≤ dual).

    Elementwise on broadcastable shapes; returns bool.
    """
    ratio = torch.exp(log_ratio)
    negative = ratio >= 1 - clip_low
    if dual_clip is not None:
        negative = negative & (ratio <= dual_clip)
    return torch.where(advantage >= 0, ratio <= 1 + clip_high, negative)


def effective_weight(
    advantage: Tensor,
    log_ratio: Tensor,
    mask: Tensor | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """W = ρ·A·1[not clipped], so that ∇L_clip = E_old[W ∇log π_θ] (T24).

    Args:
        advantage: (N,), or (N, T) with a token-level `log_ratio`.
        log_ratio: (N,) sequence-level log π_θ − log π_old, or (N, T) token-level with `mask`.
        mask: (N, T) true on completion tokens; entries elsewhere are never read.
        clip_low: Lower range ε_low in [0, 1].
        clip_high: Upper range ε_high ≥ 0.
        dual_clip: Bound c > 1 on ρ where A < 0, or None.

    Returns:
        (N,) float64; token-level weights are averaged over the completion's tokens, so that
        W = A at ρ ≡ 1 on either level. A completion without tokens gets 0.

    Raises:
        CovlawError: on clip ranges outside their domain or shapes that do not fit.
    """
    check_clip(clip_low, clip_high, dual_clip)
    advantage = torch.as_tensor(advantage).to(torch.float64)
    log_ratio = torch.as_tensor(log_ratio).to(torch.float64)
    mask = _token_mask(log_ratio, mask)
    if advantage.ndim == 1 and mask is not None:
        advantage = advantage[:, None]
    if advantage.ndim != log_ratio.ndim or advantage.shape[0] != log_ratio.shape[0]:
        raise CovlawError(
            f"advantage {tuple(advantage.shape)} does not fit log_ratio {tuple(log_ratio.shape)}"
        )
    if mask is not None:  # padding may hold NaN: replace before computing, not after
        zero = log_ratio.new_zeros(())
        log_ratio = torch.where(mask, log_ratio, zero)
        advantage = torch.where(mask, advantage.expand_as(mask), zero)
    keep = unclipped(advantage, log_ratio, clip_low, clip_high, dual_clip)
    weight = torch.where(keep, torch.exp(log_ratio) * advantage, log_ratio.new_zeros(()))
    if mask is None:
        return weight
    return weight.sum(1) / mask.sum(1).clamp(min=1)


def _token_mask(log_ratio: Tensor, mask: Tensor | None) -> Tensor | None:
    if (log_ratio.ndim == 2) != (mask is not None):
        raise CovlawError("token-level log_ratio (N, T) needs a mask (N, T); sequence-level none")
    if mask is None:
        return None
    mask = torch.as_tensor(mask).to(torch.bool)
    if mask.shape != log_ratio.shape:
        raise CovlawError(
            f"mask {tuple(mask.shape)} does not fit log_ratio {tuple(log_ratio.shape)}"
        )
    return mask
