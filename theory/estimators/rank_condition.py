"""What T35 asks of every prompt: no bundle of rewards without variance, or a weaker form."""

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import min_norm_point

REACH = 256.0
"""Largest share of another objective, relative to the one required, in a constant bundle."""

FULL, WEAKER, FAILS = 0, 1, 2
"""Codes of `rank_condition`."""

MEANING = {
    FULL: "full: no bundle of rewards is constant (or none varies at all)",
    WEAKER: "weaker assumption suffices: only bundles that leave an objective out are constant",
    FAILS: "fails: a bundle of all objectives is constant, yet some vary; headroom is only a bound",
}
"""What each code says about a prompt."""


def rank_condition(covariances: PromptCovariances) -> Tensor:
    """T35's assumption, prompt by prompt: (..., P) codes FULL, WEAKER or FAILS.

    FULL: C_x = 0, or μ'C_xμ > 0 on the whole simplex. WEAKER: λ'C_xλ > 0 for all strictly
    positive λ; then t* may be a supremum that no weights attain. FAILS: C_x ≠ 0 but λ'C_xλ = 0
    for some strictly positive λ; then targets below t* may still be out of reach.
    Zero means within rounding. K sampled completions have rank at most K − 1.
    """
    unit = _standardised(covariances)
    varying = unit.diagonal(dim1=-2, dim2=-1) > 0
    floor = _floor(covariances)
    full = (min_norm_point(unit).value > floor) | ~varying.any(-1)
    fails = ~full & varying.all(-1) & _has_positive_null_vector(unit, floor)
    return torch.where(full, FULL, torch.where(fails, FAILS, WEAKER))


def _standardised(covariances: PromptCovariances) -> Tensor:
    """Correlations (..., P, M, M); rewards that do not vary beyond rounding are exact zeros."""
    deviation = covariances.deviations()
    live = deviation > covariances.noise
    unit = torch.where(live, deviation, 1.0)
    both = live[..., :, None] & live[..., None, :]
    return torch.where(both, covariances.matrices / (unit[..., :, None] * unit[..., None, :]), 0.0)


def _floor(covariances: PromptCovariances) -> Tensor:
    """What rounding can leave of a vanishing λ'Cλ (λ in the simplex, rewards of sd 1): (..., P)."""
    deviation = covariances.deviations()
    live = deviation > covariances.noise
    share = torch.where(live, covariances.noise / torch.where(live, deviation, 1.0), 0.0)
    return share.amax(-1).square() + rounding(1.0, 4 * deviation.shape[-1] + 16)


def _has_positive_null_vector(unit: Tensor, floor: Tensor) -> Tensor:
    """Whether every objective is in some constant bundle: (..., P); the bundles' mean has all.

    Objective j is iff the min-norm point of the bundles r_j + REACH·r_k, k = 1 … M, is 0.
    """
    count = unit.shape[-1]
    fits = torch.ones_like(floor, dtype=torch.bool)
    for j in range(count):
        lift = torch.eye(count).to(unit) * REACH
        lift[:, j] += 1.0
        value = min_norm_point(lift @ unit @ lift.T).value
        fits &= value <= (1 + REACH) ** 2 * floor
    return fits
