"""How much clipping can change the covariance law: three bounds and a sign certificate (T27)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.validation import as_mass, as_prompt_mass
from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses.clipping import Clip

RELATIVE_MARGIN = 1e-9
"""By how much a covariance must exceed its margin to be certified: exact ties (two completions,
all clipped) would otherwise be certified by rounding."""


class ClipMargin(NamedTuple):
    """Bounds on |Cov_old(r, ρA) − Cov_old(r, W)| = |Cov_old(r, Y)|, Y = ρA·1[clipped].

    On samples every entry carries the factor K/(K−1) of the unbiased covariances it bounds.
    """

    unclipped: Covariance
    """Cov_old(r_j, ρA)."""
    clipped: Covariance
    """Cov_old(r_j, W)."""
    deviation: Tensor
    """(P, M) sd(r)·sd(Y); sharp given sd(r)."""
    spread: Tensor
    """(P, M) (max r − min r)/2 · E|Y − E Y|; sharp given the range of r."""
    local: Tensor
    """(P, M) √(E[(r − E r)²·1[clipped]]·E[Y²]); reads r on clipped completions only."""
    certified: Tensor
    """(M,) bool: the prompts' mean |Cov_old(r, ρA)| exceeds their mean bound by more than rounding
    can, so clipping leaves the sign of the law as it is."""

    @property
    def bound(self) -> Tensor:
        """(P, M) the least of the three."""
        return torch.minimum(torch.minimum(self.deviation, self.spread), self.local)


def clip_margin(
    rewards: Tensor,
    advantage: Tensor,
    log_ratio: Tensor,
    clip: Clip,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
    mask: Tensor | None = None,
) -> ClipMargin:
    """Bound what clipping does to Cov_old(r_j, W), without knowing which way it acts (T27).

    On samples the bounds hold for the empirical distribution of each prompt's group, hence for
    the sample covariances themselves.

    Args:
        rewards: (N, M).
        advantage: (N,) A.
        log_ratio: (N,) log π_θ − log π_old, or (N, T) token-level with `mask`; then ρA and W are
            means over the completion's tokens.
        clip: `(clip_low, clip_high, dual_clip)`.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities under π_old, or None for its samples.
        prompt_mass: (P,) or None.
        mask: (N, T) true on completion tokens, with a token-level `log_ratio`.

    Raises:
        CovlawError: as `effective_weight` and `within_prompt_covariance`.
    """
    weight = effective_weight(advantage, log_ratio, mask, *clip)
    full = effective_weight(advantage, log_ratio, mask, 1.0, math.inf)
    unclipped, clipped = (
        within_prompt_covariance(rewards, signal, prompt, mass, prompt_mass)
        for signal in (full, weight)
    )
    groups = by_prompt(prompt)
    bounds = _bounds(as_float64(rewards, "rewards"), full - weight, groups, as_mass(mass, groups))
    outer = as_prompt_mass(prompt_mass, groups)
    outer = torch.ones_like(groups.counts, dtype=torch.float64) if outer is None else outer
    mean_bound = outer @ torch.stack(bounds).amin(0) / outer.sum()
    floor = _law_rounding(as_float64(rewards, "rewards"), full, groups)
    certified = unclipped.estimate.abs() > mean_bound * (1 + RELATIVE_MARGIN) + floor
    return ClipMargin(unclipped, clipped, *bounds, certified)


def _law_rounding(rewards: Tensor, signal: Tensor, groups: Groups) -> Tensor:
    """What rounding alone can make of a covariance that is 0: (M,).

    Each prompt's two means, centred products and their sum are 4K operations on numbers up to
    2·max|r|·2·max|signal|, inflated by K/(K − 1) ≤ 2 on samples.
    """
    size = 8 * rewards.abs().amax(0) * signal.abs().max()
    return rounding(size, 4 * int(groups.counts.max()) + 8)


def _bounds(
    rewards: Tensor, lost: Tensor, groups: Groups, mass: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The three bounds, (P, M) each; `lost` (N,) is Y, 0 exactly where nothing is clipped."""
    counts = groups.counts.to(torch.float64)
    inflation = (counts / (counts - 1))[:, None] if mass is None else 1.0
    share = groups.share(mass)

    def mean(values: Tensor) -> Tensor:
        return groups.sum(share[:, None] * values)

    signal = lost[:, None]
    square = groups.centre(rewards, share).square()
    own = groups.centre(signal, share)
    deviation = (mean(square) * mean(own.square())).sqrt()
    spread = groups.span(rewards) / 2 * mean(own.abs())
    local = (mean(square * (signal != 0)) * mean(signal.square())).sqrt()
    return inflation * deviation, inflation * spread, inflation * local
