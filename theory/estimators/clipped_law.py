"""The covariance law of a clipped inner step, and how far a step goes unclipped."""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.validation import as_mass
from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses.clipping import Clip, check_clip


def clipped_law(
    rewards: Tensor,
    advantage: Tensor,
    log_ratio: Tensor,
    clip: Clip,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
    centred: bool = True,
) -> Covariance:
    """First-order change of each objective when π_θ follows its clipped surrogate (T25).

    centred:   Cov_old(r, W) − E_x{(E_θ r − E_old r)·E_old W}, the law at π_θ, exactly the
               derivative along the tilt (= natural step of a full softmax) by A·1[not clipped];
    uncentred: Cov_old(r, W), the usual statistic, right at the first inner step only.

    The centring term is itself a covariance, since E_θ r − E_old r = Cov_old(r, ρ) (T8): the
    centred law is Cov_old(r, W − ρ·E_old W), prompt by prompt. On samples both are unbiased from
    K = 3 on; at K = 2 the centred one is biased by the third joint cumulant κ(r, ρ, W)/2.

    Args:
        rewards: (N, M).
        advantage: (N,) A, computed from π_old.
        log_ratio: (N,) sequence-level log π_θ − log π_old.
        clip: `(clip_low, clip_high, dual_clip)`.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities under π_old, or None for its samples.
        prompt_mass: (P,) or None.
        centred: With the centring term.

    Raises:
        CovlawError: as `effective_weight` and `within_prompt_covariance`.
    """
    weight = effective_weight(advantage, log_ratio, None, *clip)
    if not centred:
        return within_prompt_covariance(rewards, weight, prompt, mass, prompt_mass)
    groups = by_prompt(prompt)
    ratio = as_float64(log_ratio, "log_ratio").exp()
    signal = centred_weight(weight, ratio, groups, as_mass(mass, groups))
    return within_prompt_covariance(rewards, signal, prompt, mass, prompt_mass)


def no_clip_radius(clip_low: float, clip_high: float, dual_clip: float | None = None) -> float:
    """Largest b such that |log ρ| ≤ b leaves every completion unclipped, whatever its A (T26).

    min(log(1 + ε_high), −log(1 − ε_low), log c); 0.1823 at 0.2/0.2, inf without clipping.

    Raises:
        CovlawError: on clip ranges outside their domain.
    """
    check_clip(clip_low, clip_high, dual_clip)
    lower = math.inf if clip_low == 1 else -math.log1p(-clip_low)
    dual = math.inf if dual_clip is None else math.log(dual_clip)
    return min(lower, math.log1p(clip_high), dual)


def centred_weight(weight: Tensor, ratio: Tensor, groups: Groups, mass: Tensor | None) -> Tensor:
    """W − ρ·E_old W, (N,): its covariance with r_j is the centred law (T25).

    Exact for a sequence-level W. With token-level weights averaged over a completion the same
    expression is what the sequence-level law reads, but not exact (T29).

    Args:
        weight: (N,) effective weight W.
        ratio: (N,) ρ of the whole completion.
        groups: Rows by prompt.
        mass: (N,) probabilities under π_old, or None for its samples.
    """
    counts = groups.spread(groups.counts.to(torch.float64))
    share = groups.share(mass)
    mean = groups.spread(groups.sum(share * weight))
    if mass is not None:
        return weight - mean * ratio
    # The product Cov(r, ρ)·mean(W) of two sample statistics errs by κ(r, ρ, W)/K on average;
    # the last term takes its unbiased estimate away (it is constant, hence idle, at K = 2).
    both = (weight - mean) * groups.centre(ratio, share)
    return weight - mean * ratio + both / (counts - 2).clamp(min=1)
