"""PPO's clip, elementwise: which ratios count, and the surrogate min(ρA, clip(ρ)A)."""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError

Clip = tuple[float, float, float | None]
"""`(clip_low, clip_high, dual_clip)`."""


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

    Elementwise on broadcastable shapes; returns bool. NaN counts as not clipped, so that it shows.
    """
    return within(advantage, torch.exp(log_ratio), (clip_low, clip_high, dual_clip))


def within(advantage: Tensor, ratio: Tensor, clip: Clip) -> Tensor:
    """`unclipped` of a ratio instead of its logarithm."""
    clip_low, clip_high, dual_clip = clip
    too_low = ratio < 1 - clip_low
    if dual_clip is not None:
        too_low = too_low | (ratio > dual_clip)
    return ~(((ratio > 1 + clip_high) & (advantage >= 0)) | (too_low & (advantage < 0)))


def clipped_surrogate(
    advantage: Tensor,
    log_ratio: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """Elementwise PPO objective min(ρA, clip(ρ)A), with max(·, cA) where A < 0 (dual clip).

    Schulman et al. 2017 eq. 7; Ye et al. 2020 eq. 6. Its gradient is W ∇log π (T24). A clipped
    element has the bound's value and no gradient, however far its ratio is (in float32 e^89 is
    inf, and 0·inf in a backward pass NaN): it is never differentiated.
    """
    check_clip(clip_low, clip_high, dual_clip)
    with torch.no_grad():
        ratio = torch.exp(log_ratio)
        keep = within(advantage, ratio, (clip_low, clip_high, dual_clip))
        idle = (advantage == 0) & (ratio > 1)  # 0·A is 0, whatever ρ
        # new_tensor fails under torch 2.4's function transforms
        low, high = ratio.new_full((), 1 - clip_low), ratio.new_full((), 1 + clip_high)
        below = low if dual_clip is None else torch.where(ratio < low, low, dual_clip)
        bound = torch.where(advantage >= 0, high, below)
    moved = torch.where(keep & ~idle, log_ratio, log_ratio.new_zeros(()))
    return torch.where(keep, torch.exp(moved) * advantage, bound * advantage)
