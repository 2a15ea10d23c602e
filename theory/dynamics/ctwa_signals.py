"""The statistic y(λ) that CTWA watches, under four normalisations of the advantage (T33–T38)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.prompt_covariances import PromptCovariances

SignalOf = Callable[[PromptCovariances, Tensor], Tensor]
"""(covariances, weights (..., M)) → y (..., M), each Cov(r_j, advantage)."""


def prompt_std(covariances: PromptCovariances, weights: Tensor) -> Tensor:
    """sd_x(λ·r) = √(λ'C_xλ): (..., P); 0 where it is no more than rounding."""
    return _std_and_products(covariances, weights)[0]


def mean_std(covariances: PromptCovariances, weights: Tensor) -> Tensor:
    """g(λ) = E_x sd_x(λ·r): (...), convex, of degree 1 (T35)."""
    return (covariances.prompt_mass * prompt_std(covariances, weights)).sum(-1)


def raw_signal(covariances: PromptCovariances, weights: Tensor) -> Tensor:
    """y = Cλ: centred scores, as in RLOO and Dr. GRPO (T33)."""
    return _apply(covariances.within(), weights)


def grpo_signal(covariances: PromptCovariances, weights: Tensor) -> Tensor:
    """y = E_x C_xλ/sd_x(λ·r) = ∇g(λ): each prompt's own std, 0/0 := 0 (T35)."""
    std, products = _std_and_products(covariances, weights)
    scale = torch.where(std > 0, covariances.prompt_mass / torch.where(std > 0, std, 1.0), 0.0)
    return (scale[..., None] * products).sum(-2)


def whitened_signal(covariances: PromptCovariances, weights: Tensor) -> Tensor:
    """y = Cλ/√(λ'Σλ), Σ = C + B: one std of all completions, as in REINFORCE++ (T38)."""
    within = covariances.within()
    return _scaled(within, within + covariances.between(), weights)


def pooled_signal(covariances: PromptCovariances, weights: Tensor) -> Tensor:
    """y = Cλ/√(λ'Cλ): the pooled within-prompt std, the remedy (T38)."""
    within = covariances.within()
    return _scaled(within, within, weights)


SIGNALS: Mapping[str, SignalOf] = {
    "raw": raw_signal,
    "grpo": grpo_signal,
    "whitened": whitened_signal,
    "pooled": pooled_signal,
}
"""y by the name of the advantage's normalisation; all but raw are free of the weights' scale."""


def _std_and_products(covariances: PromptCovariances, weights: Tensor) -> tuple[Tensor, Tensor]:
    products = _apply(covariances.matrices, weights[..., None, :])
    variance = (products * weights[..., None, :]).sum(-1)
    size = (weights[..., None, :].abs() * covariances.deviations()).sum(-1)
    noise = (weights[..., None, :].abs() * covariances.noise).sum(-1)
    floor = noise.square() + rounding(size.square(), 2 * weights.shape[-1] + 4)
    return torch.where(variance > floor, variance, 0.0).sqrt(), products


def _scaled(within: Tensor, scale: Tensor, weights: Tensor) -> Tensor:
    covariance = _apply(within, weights)
    variance = (_apply(scale, weights) * weights).sum(-1, keepdim=True)
    size = (weights.abs() * scale.diagonal(dim1=-2, dim2=-1).sqrt()).sum(-1, keepdim=True)
    live = variance > rounding(size.square(), 2 * weights.shape[-1] + 4)
    return torch.where(live, covariance / torch.where(live, variance, 1.0).sqrt(), 0.0)


def _apply(matrices: Tensor, weights: Tensor) -> Tensor:
    return (matrices @ weights[..., None])[..., 0]
