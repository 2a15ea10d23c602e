"""Headroom of samples without the optimism of its own minimum: chosen on one half, read on another.

Of samples, `headroom` takes the least of a noisy function and so comes out low; its `lower` bounds
the solver's error on that sample and nothing else.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import mean_and_error
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances

FEWEST = 4
"""Prompts, two in each half."""


class HeldOutHeadroom(NamedTuple):
    """Mean within-prompt std of bundles that other prompts chose, c·μ = 1."""

    factor: Tensor
    """Scalar. Above t* in expectation as far as the bundles miss the best one, below it as far as K
    completions understate a std, which for binary rewards at K = 2 is by 30 % and more."""
    standard_error: Tensor
    """Scalar, clustered by prompt; leaves out that the bundles are themselves estimated."""


def held_out_headroom(covariances: PromptCovariances, targets: Tensor) -> HeldOutHeadroom:
    """Cross-fitted estimate of T36's t* = min g(μ): the bundle of one half, read on the other.

    Every other prompt is one half. Each half's std of its bundle is averaged over all prompts.

    Args:
        covariances: Of sampled rewards, prompt by prompt (P, M, M), P ≥ 4, equally likely.
        targets: (M,) c ≥ 0, not all 0.

    Raises:
        CovlawError: on fewer than four prompts, and as `headroom`.
    """
    matrices = covariances.matrices
    if matrices.ndim != 3 or len(matrices) < FEWEST:
        raise CovlawError(
            f"covariances of shape {tuple(matrices.shape)}: give at least {FEWEST} prompts"
        )
    place = torch.arange(len(matrices), device=matrices.device) % 2
    deviations = matrices.new_zeros(len(matrices), 1)
    for half in (0, 1):
        chosen = headroom(_some(covariances, place == half), targets).bundle
        other = place != half
        variance = torch.einsum("pij,i,j->p", matrices[other], chosen, chosen)
        deviations[other, 0] = variance.clamp(min=0).sqrt()
    weight = torch.full((len(matrices),), 1 / len(matrices)).to(matrices)
    factor, error = mean_and_error(deviations, weight)
    return HeldOutHeadroom(factor[0], error[0])


def _some(covariances: PromptCovariances, kept: Tensor) -> PromptCovariances:
    mass = covariances.prompt_mass[kept]
    matrices, means, noise = (
        x[kept] for x in (covariances.matrices, covariances.means, covariances.noise)
    )
    return PromptCovariances(matrices, mass / mass.sum(), means, noise)
