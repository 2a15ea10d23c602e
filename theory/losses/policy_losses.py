"""Losses of a policy, each formula once. All are minimised and differentiable in `log_prob`."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import unknown
from covlaw.theory.losses.clipping import check_clip

AGGREGATIONS = ("sequence_mean", "sequence_sum", "token_mean")

KL_ESTIMATORS = ("k1", "k2", "k3")


def aggregate(per_token: Tensor, mask: Tensor, aggregation: str) -> Tensor:
    """From a value a token to one number a batch, for every term of a loss alike.

    - `sequence_sum`: Σ_t over a completion, mean over completions: the law's own. Dr. GRPO divides
      it by a constant, its longest length T (Liu et al. 2025, arXiv:2503.20783): the same loss
      times 1/T, so the same step of AdamW (whose ε aside), and of SGD at T times the rate; a
      bound on the gradient's norm is T times as wide there.
    - `sequence_mean`: mean_t over a completion, then over completions (GRPO, Shao et al. 2024,
      arXiv:2402.03300); it makes the score A/L (T18).
    - `token_mean`: Σ over all tokens / their number (DAPO, Yu et al. 2025, arXiv:2503.14476).

    Args:
        per_token: (N, T), never read where `mask` is false.
        mask: (N, T) true on completion tokens.
        aggregation: One of `AGGREGATIONS`.

    Raises:
        CovlawError: for an unknown aggregation.
    """
    if aggregation not in AGGREGATIONS:
        raise unknown("aggregation", aggregation, AGGREGATIONS)
    mask = mask.to(torch.bool)
    value = torch.where(mask, per_token, per_token.new_zeros(()))
    if aggregation == "token_mean":
        return value.sum() / mask.sum().clamp(min=1)
    per_completion = value.sum(1)
    if aggregation == "sequence_mean":
        per_completion = per_completion / mask.sum(1).clamp(min=1)
    return per_completion.mean()


def share_of(part: Tensor, batch: Tensor, aggregation: str) -> float:
    """Weight with which a part's aggregate enters its batch's: its share of the rows or tokens.

    Σ over a partition of share × aggregate is the aggregate of the whole, for gradients too.

    Args:
        part: (n, T') mask of some rows.
        batch: (N, T) mask of all.
        aggregation: One of `AGGREGATIONS`.
    """
    if aggregation == "token_mean":
        return int(part.sum()) / max(int(batch.sum()), 1)
    return len(part) / len(batch)


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
        aggregation: As in `aggregate`.

    Raises:
        CovlawError: for an unknown aggregation or a clip range outside its domain.
    """
    mask = mask.to(torch.bool)
    safe = torch.where(mask, log_ratio, log_ratio.new_zeros(()))
    per_token = advantage.to(safe.dtype).reshape(advantage.shape[0], -1)
    per_token = torch.where(mask, per_token, per_token.new_zeros(()))
    value = clipped_surrogate(per_token, safe, clip_low, clip_high, dual_clip)
    return -aggregate(value, mask, aggregation)


def kl_to_reference(log_prob: Tensor, reference_log_prob: Tensor, estimator: str = "k3") -> Tensor:
    """Elementwise estimate of KL(π ‖ π_ref) on π's samples (Schulman 2020's k1, k2, k3).

    With d = log π − log π_ref: k1 = d, k2 = d²/2, k3 = e^{−d} − 1 + d; k1 and k3 are unbiased,
    k2 and k3 never negative. As a *loss* their gradients are another matter, for the samples are
    not differentiated (Tang & Munos 2025, arXiv:2506.09477). At h_t and π = the sampling policy:

    - k1: E ∇d = E ∇log π = 0: noise, and no pull to the reference; under `sequence_mean` it is
      ∇E[1/L], which lengthens completions whatever the reference;
    - k2: E d ∇log π = ∇KL(π(·|h_t) ‖ π_ref(·|h_t)): the right one;
    - k3: E (1 − e^{−d}) ∇log π = ∇KL(π_ref(·|h_t) ‖ π(·|h_t)): that of the other direction.

    All are per token: none sees that a token changes which h_t come later.

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
