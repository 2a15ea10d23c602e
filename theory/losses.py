"""Policy losses, each formula once. All are minimised and differentiable in `log_prob`."""

import torch
from torch import Tensor

from covlaw.theory.clipping import check_clip
from covlaw.theory.errors import unknown

AGGREGATIONS = ("sequence_mean", "sequence_sum", "token_mean")

KL_ESTIMATORS = ("k1", "k2", "k3")


def clipped_surrogate(
    advantage: Tensor,
    log_ratio: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """Elementwise PPO objective min(ρA, clip(ρ)A), with max(·, cA) where A < 0 (dual clip).

    Schulman et al. 2017 eq. 7; Ye et al. 2020 eq. 6. Its gradient is W ∇log π (T24).
    """
    check_clip(clip_low, clip_high, dual_clip)
    ratio = torch.exp(log_ratio)
    clipped = torch.clamp(ratio, 1 - clip_low, 1 + clip_high)
    value = torch.minimum(ratio * advantage, clipped * advantage)
    if dual_clip is not None:
        floored = (advantage < 0) & (ratio > dual_clip)  # at ρ = c not yet: W keeps that token
        value = torch.where(floored, dual_clip * advantage, value)
    return value


def clipped_policy_loss(
    advantage: Tensor,
    log_ratio: Tensor,
    mask: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
    aggregation: str = "sequence_mean",
) -> Tensor:
    """Minus the clipped surrogate over tokens.

    Args:
        advantage: (N,) one a completion, or (N, T) one a token, never read where `mask` is false.
        log_ratio: (N, T) token-level log π_θ − log π_old; never read where `mask` is false.
        mask: (N, T) true on completion tokens.
        clip_low: Lower range.
        clip_high: Upper range.
        dual_clip: Bound on ρ where A < 0, or None.
        aggregation: `sequence_sum` (the law's own: Σ_t over a completion, mean over completions),
            `sequence_mean` (GRPO: divides by each length, T18) or `token_mean` (DAPO).

    Raises:
        CovlawError: for an unknown aggregation or a clip range outside its domain.
    """
    if aggregation not in AGGREGATIONS:
        raise unknown("aggregation", aggregation, AGGREGATIONS)
    mask = mask.to(torch.bool)
    safe = torch.where(mask, log_ratio, log_ratio.new_zeros(()))
    per_token = advantage.to(safe.dtype).reshape(advantage.shape[0], -1)
    per_token = torch.where(mask, per_token, per_token.new_zeros(()))
    value = clipped_surrogate(per_token, safe, clip_low, clip_high, dual_clip)
    value = torch.where(mask, value, value.new_zeros(()))
    if aggregation == "token_mean":
        return -value.sum() / mask.sum().clamp(min=1)
    per_completion = value.sum(1)
    if aggregation == "sequence_mean":
        per_completion = per_completion / mask.sum(1).clamp(min=1)
    return -per_completion.mean()


def kl_to_reference(log_prob: Tensor, reference_log_prob: Tensor, estimator: str = "k3") -> Tensor:
    """Elementwise estimate of KL(π ‖ π_ref) on π's samples (Schulman's k1, k2, k3).

    With d = log π − log π_ref: k1 = d, k2 = d²/2, k3 = e^{−d} − 1 + d (unbiased and never < 0).

    Raises:
        CovlawError: for an unknown estimator.
    """
    if estimator not in KL_ESTIMATORS:
        raise unknown("KL estimator", estimator, KL_ESTIMATORS)
    log_ratio = log_prob - reference_log_prob
    if estimator == "k1":
        return log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    return torch.expm1(-log_ratio) + log_ratio
