"""Completions of another sampler: truncated importance weights, and what truncation costs (T52)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import PromptIds
from covlaw.theory._numerics.weighting import Grouping, weighting
from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance


class TruncationMargin(NamedTuple):
    """The law of truncated weights beside the target's, and how far apart they may be."""

    target: Covariance
    """Cov_π(r_j, A)."""
    truncated: Covariance
    """Cov_π(r_j, A·min(1, C·μ/π)): what training on weights min(π/μ, C) follows."""
    bound: Tensor
    """(P, M) (R_j/2)·E_π|Y − E_π Y|, Y = A·(min(1, C·μ/π) − 1); sharp given the range of r_j."""


def truncated_weight(gap: Tensor, cap: float) -> Tensor:
    """min(π/μ, C) of completions or tokens that μ has drawn, gap = log π − log μ: as `gap`.

    Yao et al. 2025 ("Your efficient RL framework secretly brings you off-policy RL training").

    Raises:
        CovlawError: unless C > 0.
    """
    require_cap(cap)
    return gap.clamp(max=math.log(cap)).exp()


def require_cap(cap: float) -> None:
    """Refuse a cap that is not positive and finite."""
    if not 0 < cap < math.inf:
        raise CovlawError(f"cap of the importance weights is {cap}: use a finite value > 0")


def truncation_margin(
    rewards: Numbers,
    advantage: Numbers,
    gap: Numbers,
    cap: float,
    prompt: PromptIds,
    mass: Numbers,
    prompt_mass: Numbers | None = None,
) -> TruncationMargin:
    """How much weights min(π/μ, C) in place of π/μ change the law of π (T52).

    E_μ[min(π/μ, C)·A·∇log π] = E_π[A·min(1, C·μ/π)·∇log π]: what is lost is
    Y = A·(min(1, C·μ/π) − 1), 0 wherever π/μ ≤ C, and |Cov_π(r, Y)| ≤ (R/2)·E|Y − E Y|.

    Args:
        rewards: (N, M).
        advantage: (N,) A.
        gap: (N,) log π − log μ.
        cap: C.
        prompt: (N,) ids.
        mass: (N,) probabilities under π; of μ's samples their importance weights, normalised to
            sum to 1 within each prompt.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: as `within_prompt_covariance`, and unless C > 0.
    """
    require_cap(cap)
    rows = weighting(Grouping(prompt, mass, prompt_mass))
    values, a = as_float64(rewards, "rewards"), as_float64(advantage, "advantage")
    # min(1, C·μ/π) − 1, exactly 0 where nothing is cut
    lost = a * torch.expm1((math.log(cap) - as_float64(gap, "gap")).clamp(max=0.0))
    grouping = (prompt, mass, prompt_mass)
    spread = rows.groups.sum(rows.row * rows.groups.centre(lost, rows.row).abs())
    return TruncationMargin(
        within_prompt_covariance(values, a, *grouping),
        within_prompt_covariance(values, a + lost, *grouping),
        rows.groups.span(values) / 2 * spread[:, None],
    )
