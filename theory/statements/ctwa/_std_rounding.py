"""Rounding of sd_x(λ·r), of g and of y(λ): they cancel where a bundle hardly varies."""

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import prompt_std
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import min_norm_point


def std_errors(problems: PromptCovariances, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sd_x(λ·r), a bound on its error, and Σ_k λ_k sd_x(r_k): (..., P) each.

    The variance is a sum of terms that add to S², S = Σ_k λ_k sd_x(r_k), so it errs by γS² and its
    root by γS²/sd, never more than √γ·S; `prompt_std` takes what is below that for 0.
    """
    std = prompt_std(problems, weights)
    size = (weights[..., None, :].abs() * problems.deviations()).sum(-1)
    noise = (weights[..., None, :].abs() * problems.noise).sum(-1)
    unit = rounding(1.0, 4 * weights.shape[-1] + 32)
    least = torch.maximum(std, unit.sqrt() * size)
    relative = torch.where(least > 0, size / torch.where(least > 0, least, 1.0), 0.0)
    cut = torch.where(std > 0, 0.0, noise + unit.sqrt() * size)
    return std, unit * size * relative + cut, size


def mean_std_error(problems: PromptCovariances, weights: Tensor) -> Tensor:
    """Bound the error of g(λ): (...)."""
    std, error, _ = std_errors(problems, weights)
    averaging = rounding((problems.prompt_mass * std).sum(-1), problems.prompt_mass.shape[-1] + 4)
    return (problems.prompt_mass * error).sum(-1) + averaging


def signal_error(problems: PromptCovariances, weights: Tensor) -> Tensor:
    """Bound the error of y(λ) under GRPO's normalisation: (..., M).

    (C_xλ)_j errs by γ·sd_x(r_j)·S, and the division by the error of sd_x(λ·r); a prompt whose
    computed std is 0 may miss its whole share, at most D(x)·sd_x(r_j).
    """
    std, error, size = std_errors(problems, weights)
    unit = rounding(1.0, 4 * weights.shape[-1] + problems.prompt_mass.shape[-1] + 32)
    live = std > 0
    relative = (unit * size + error) / torch.where(live, std, 1.0)
    share = torch.where(live, relative.clamp(max=1.0), 1.0) * problems.prompt_mass
    return (share[..., None] * problems.deviations()).sum(-2)


def curvature(problems: PromptCovariances) -> Tensor:
    """H_j = E_x C_xjj/√v*_x: ∂²g/∂λ_j² ≤ H_j/Σλ on the positive orthant: (..., M)."""
    least = min_norm_point(problems.matrices).value.clamp(min=0.0).sqrt()
    flat = (problems.deviations() <= problems.noise).all(-1)
    share = torch.where(flat, 0.0, problems.prompt_mass / torch.where(least > 0, least, 1.0))
    share = torch.where(~flat & (least <= 0), torch.inf, share)
    squares = problems.matrices.diagonal(dim1=-2, dim2=-1)
    return (share[..., None] * torch.where(flat[..., None], 0.0, squares)).sum(-2)


def gradient_error(problems: PromptCovariances, bundle: Tensor, gap: Tensor) -> Tensor:
    """How far y_j of a bundle within `gap` of the least g may stay below t*c_j: √(2·gap·H_j).

    Were it lower by Δ, a step h along e_j would reach g + h(y_j − t*c_j) + ½h²H_j below the
    certified minimum for h = Δ/H_j.
    """
    return (2 * gap[..., None] * curvature(problems) / bundle.sum(-1, keepdim=True)).sqrt()
