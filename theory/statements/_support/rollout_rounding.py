"""Rounding bounds of covariances over rollouts, weighted by each completion's probability."""

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import Covariance
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.worlds.updates import Update


def weighted_rounding(rollouts: Rollouts, signal: Tensor, operations: int = 0) -> Tensor:
    """Bound the float64 error of E_x Cov_x(r_j, signal): (M,).

    γ_n·E_x{E(|r| + E|r|)(|s| + E|s|)}: both factors carry the rounding of their own mean. A huge
    ratio of an improbable completion counts by its probability only.
    n = 3N + 8 (two means, one sum of products) plus `operations` inside the signal; doubled for
    the factor K/(K−1) ≤ 2 of samples.
    """
    groups, row = group_by_prompt(rollouts.prompt), row_weight(rollouts)
    total = groups.spread(groups.sum(row)).clamp(min=torch.finfo(torch.float64).tiny)
    share = (row / total)[:, None]
    values, size = rollouts.rewards.abs(), signal.abs().to(torch.float64)[:, None]
    values = values + groups.spread(groups.sum(share * values))
    size = size + groups.spread(groups.sum(share * size))
    magnitude = row @ (values * size)
    return 2 * rounding(magnitude, 3 * signal.shape[0] + 8 + operations)


def ratio_size(rollouts: Rollouts, log_ratio: Tensor) -> Tensor:
    """1 + ρ(1 + |log π_old| + |log π_new|): the scale on which a computed ρ − 1 rounds, (N,).

    Exponentials turn the absolute rounding of log-probs, relative to |log π|, into a relative
    one of ρ; so do log-probs whose completions sum to 1 only up to rounding.
    """
    mass = rollouts.mass
    old = torch.zeros_like(log_ratio) if mass is None else torch.where(mass > 0, mass, 1.0).log()
    return 1 + log_ratio.exp() * (1 + old.abs() + (old + log_ratio).abs())


def row_weight(rollouts: Rollouts) -> Tensor:
    """Weight of each completion in E_x E_{π_old} (N,): true, or empirical for samples."""
    groups = group_by_prompt(rollouts.prompt)
    counts = groups.counts.to(torch.float64)
    share = groups.spread(1 / counts) if rollouts.mass is None else rollouts.mass
    outer = rollouts.prompt_mass
    outer = torch.full_like(counts, 1 / counts.shape[0]) if outer is None else outer
    return share * groups.spread(outer)


def change_error(update: Update, law: Covariance) -> Tensor | None:
    """Standard error (M,) of change − covariance, on independent samples; None if exact.

    Near convergence a change comes from few completions, and a sample without any of them reports
    an error of 0. If rewards are 0 or R, a mean change δ over N completions has a standard error
    of at least √(R|δ|/N), its completions changing all one way: the larger side is taken for δ.
    """
    rollouts = update.rollouts
    if rollouts.exact:
        return None
    reach = rollouts.rewards.amax(0) - rollouts.rewards.amin(0)
    larger = torch.maximum(update.change.abs(), law.estimate.abs())
    least = (reach * larger / rollouts.prompt.shape[0]).sqrt()
    return torch.maximum(torch.hypot(update.change_error, law.standard_error), least)
