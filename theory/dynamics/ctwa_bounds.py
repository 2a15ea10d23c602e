"""How large CTWA's weights can become, and steps that are small enough (T33, T37)."""

import torch
from scipy.special import lambertw
from torch import Tensor

from covlaw.theory.dynamics.ctwa_signals import mean_std
from covlaw.theory.estimators.headroom import slack_rate
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.solvers.min_norm import min_norm_point


def raw_potential(within: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """f(λ) = c·λ − ½λ'Cλ: (...), which raw CTWA climbs (T33)."""
    curved = (within @ weights[..., None])[..., 0]
    return (weights * (targets - curved / 2)).sum(-1)


def raw_weight_bound(within: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    """B = (c_max + √(c_max² − 2v*f(λ_0)))/v* ≥ Σλ_t (T33): (...); infinite where v* = 0."""
    least = min_norm_point(within).value
    largest = targets.amax(-1)
    root = (largest.square() - 2 * least * raw_potential(within, targets, start)).clamp(min=0.0)
    bound = (largest + root.sqrt()) / torch.where(least > 0, least, 1.0)
    return torch.where(least > 0, bound, torch.inf)


def raw_step_limit(within: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    """Largest η with η·λ_max(C)·B·e^{ηD} ≤ 1, D = c_max + B·max(−C_jk)_+ (T33): (...)."""
    bound = raw_weight_bound(within, targets, start)
    reach = targets.amax(-1) + bound * (-within).amax((-2, -1)).clamp(min=0.0)
    return _largest_step(torch.linalg.eigvalsh(within)[..., -1] * bound, reach)


def grpo_potential(covariances: PromptCovariances, targets: Tensor, weights: Tensor) -> Tensor:
    """f(λ) = c·λ − g(λ), g(λ) = E_x sd_x(λ·r): (...), which GRPO-normalised CTWA climbs (T37)."""
    return (targets * weights).sum(-1) - mean_std(covariances, weights)


def grpo_weight_bound(covariances: PromptCovariances, targets: Tensor, start: Tensor) -> Tensor:
    """(g(λ_0) − c·λ_0)/δ ≥ Σλ_t (T37): (...); infinite unless targets are strictly feasible."""
    rate = slack_rate(covariances, targets).lower
    room = -grpo_potential(covariances, targets, start)
    return torch.where(rate > 0, room / torch.where(rate > 0, rate, 1.0), torch.inf)


def grpo_step_limit(covariances: PromptCovariances, targets: Tensor) -> Tensor:
    """Largest η with η·L·e^{ηD} ≤ 1, L = E_x λ_max(C_x)/√v*_x, D = max_j(c_j + E_x sd_x(r_j)).

    Then every step gains f(λ') − f(λ) ≥ ½η Σ_j λ_j relu(c_j − y_j)², so that T37 holds step by
    step: the curvature of g along a step δ ≥ 0 is at most E_x δ'C_xδ/sd_x(λ·r), sd_x(λ·r) ≥
    √v*_x·Σλ, and 0 ≤ δ_j ≤ λ_j·η·d_j·e^{ηd_j}, d_j = relu(c_j − y_j) ≤ D. Ours. 0 where some
    prompt has variance but a constant bundle (v*_x = 0).
    """
    least = min_norm_point(covariances.matrices).value
    largest = torch.linalg.eigvalsh(covariances.matrices)[..., -1]
    flat = (covariances.deviations() <= covariances.noise).all(-1)
    ratio = torch.where(flat, 0.0, largest / least.clamp(min=0.0).sqrt())
    slope = (covariances.prompt_mass * ratio.nan_to_num(torch.inf, posinf=torch.inf)).sum(-1)
    return _largest_step(slope, (targets + covariances.mean_deviations()).amax(-1))


def _largest_step(slope: Tensor, reach: Tensor) -> Tensor:
    """Solve η·slope·e^{η·reach} = 1: η·reach = W(reach/slope); 0 where the slope is infinite."""
    solvable = (slope > 0) & torch.isfinite(slope) & (reach > 0) & torch.isfinite(reach)
    ratio = torch.where(solvable, reach / torch.where(solvable, slope, 1.0), 0.0)
    product = torch.as_tensor(lambertw(ratio.numpy()).real)
    return torch.where(solvable, product / torch.where(solvable, reach, 1.0), 0.0)
