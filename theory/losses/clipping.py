"""The effective weight of PPO/GRPO clipping: W = ρ·A·1[not clipped]."""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError

Clip = tuple[float, float, float | None]
"""`(clip_low, clip_high, dual_clip)`."""

CHUNK = 2**17
"""Tokens worked on at once: the float64 copies stay in cache, and memory does not grow with N."""


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
    return _within(advantage, torch.exp(log_ratio), (clip_low, clip_high, dual_clip))


def effective_weight(
    advantage: Numbers,
    log_ratio: Numbers,
    mask: Numbers | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """W = ρ·A·1[not clipped], so that ∇L_clip = E_old[W ∇log π_θ] (T24).

    A constant of the loss: no gradient flows through it.

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
        CovlawError: on clip ranges outside their domain, shapes that do not fit, and weights
            that are not finite (NaN in a completion, or an unclipped ratio that overflows).
    """
    check_clip(clip_low, clip_high, dual_clip)
    clip = (clip_low, clip_high, dual_clip)
    log_ratio, advantage = (
        t.detach() if isinstance(t, Tensor) else as_float64(t, what)
        for t, what in ((log_ratio, "log_ratio"), (advantage, "advantage"))
    )
    advantage = advantage.to(log_ratio.device)
    mask = None if mask is None else torch.as_tensor(mask, device=log_ratio.device)
    _check_shapes(advantage, log_ratio, mask)
    with torch.no_grad():
        if mask is None:
            weight = _weight(advantage, log_ratio, None, clip)
        else:
            weight = _token_mean(advantage, log_ratio, mask.to(torch.bool), clip)
    bad = ~torch.isfinite(weight)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(
            f"the effective weight of row {row} is {weight[row].item()}: check its advantage and "
            "the log-probs of both policies for NaN and overflow"
        )
    return weight


def _token_mean(advantage: Tensor, log_ratio: Tensor, mask: Tensor, clip: Clip) -> Tensor:
    if advantage.ndim == 1:
        advantage = advantage[:, None]
    rows = max(1, CHUNK // max(log_ratio.shape[1], 1))
    means = [log_ratio.new_zeros(0, dtype=torch.float64)]
    for start in range(0, log_ratio.shape[0], rows):
        a, x, m = (t[start : start + rows] for t in (advantage, log_ratio, mask))
        means.append(_weight(a, x, m, clip).sum(1) / m.sum(1).clamp(min=1))
    return torch.cat(means)


def _weight(advantage: Tensor, log_ratio: Tensor, mask: Tensor | None, clip: Clip) -> Tensor:
    ratio = log_ratio.to(torch.float64, copy=True).exp_()
    advantage = advantage.to(torch.float64)
    keep = _within(advantage, ratio, clip)
    keep = keep if mask is None else keep & mask
    # padding may hold NaN: select, do not multiply by 0
    return torch.where(keep, ratio.mul_(advantage), ratio.new_zeros(()))


def _within(advantage: Tensor, ratio: Tensor, clip: Clip) -> Tensor:
    clip_low, clip_high, dual_clip = clip
    too_low = ratio < 1 - clip_low
    if dual_clip is not None:
        too_low = too_low | (ratio > dual_clip)
    return ~(((ratio > 1 + clip_high) & (advantage >= 0)) | (too_low & (advantage < 0)))


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
