"""Both sides of T35 on many trials: what weights attain, and what bundles of objectives allow."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.dynamics.ctwa_signals import grpo_signal, mean_std
from covlaw.theory.estimators.headroom import Headroom, headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.estimators.rank_condition import FULL, rank_condition
from covlaw.theory.statements.base import Part
from covlaw.theory.statements.ctwa._climbing import kept
from covlaw.theory.statements.ctwa._std_rounding import gradient_error, mean_std_error, signal_error

TRIALS = 48
"""Random weights, and random bundles, a problem."""


class Multiples(NamedTuple):
    """Multiples of the targets, one a trial, with a bound on the rounding: (n, B)."""

    value: Tensor
    error: Tensor


def full_rank(problems: PromptCovariances) -> PromptCovariances:
    """Those in which every C_x is 0 or positive on the simplex, and some objective varies."""
    full = (rank_condition(problems) == FULL).all(-1)
    return kept(problems, full & varying(problems).any(-1))


def varying(problems: PromptCovariances) -> Tensor:
    """Objectives that vary beyond rounding: (B, M)."""
    noise = (problems.prompt_mass[..., None] * problems.noise).sum(-2)
    return problems.mean_deviations() > noise


def target_scale(problems: PromptCovariances) -> Tensor:
    """E_x sd_x(r_j), or the largest where an objective never varies: (B, M)."""
    deviation = problems.mean_deviations()
    largest = deviation.amax(-1, keepdim=True).expand_as(deviation)
    return torch.where(varying(problems), deviation, largest)


def attained(problems: PromptCovariances, targets: Tensor, weights: Tensor) -> Multiples:
    """min_j y_j(λ)/c_j of weights (n, B, M)."""
    ratio = grpo_signal(problems, weights) / targets
    return Multiples(ratio.amin(-1), (signal_error(problems, weights) / targets).amax(-1))


def allowed(problems: PromptCovariances, targets: Tensor, bundles: Tensor) -> Multiples:
    """g(μ)/(c·μ) of bundles (n, B, M)."""
    demand = (targets * bundles).sum(-1)
    error = mean_std_error(problems, bundles) / demand
    return Multiples(mean_std(problems, bundles) / demand, error)


def both_directions(
    problems: PromptCovariances, targets: Tensor, rng: np.random.Generator
) -> list[Part]:
    """No weights attain more than any bundle allows; some attain what all bundles allow.

    The second side takes weights that surely attain: the largest value less its rounding.
    """
    found = headroom(problems, targets)
    trials = _trials(rng, targets, found.bundle)
    reach, room = attained(problems, targets, trials), allowed(problems, targets, trials)
    best, index = (reach.value - reach.error).max(0)
    least, which = room.value.min(0)
    slack = room.error.gather(0, which[None])[0] + reach.error.gather(0, index[None])[0]
    return [
        (best, least, slack),
        (found.lower, best, near_optimum(problems, targets, found) + 2 * slack),
    ]


def near_optimum(problems: PromptCovariances, targets: Tensor, found: Headroom) -> Tensor:
    """How far μ*, optimal to a certified gap, may stay below t* in y(μ*)/c: (B,)."""
    gap = (found.factor - found.lower).clamp(min=0.0)
    gap = gap + mean_std_error(problems, found.bundle)
    return (gradient_error(problems, found.bundle, gap) / targets).amax(-1)


def _trials(rng: np.random.Generator, targets: Tensor, bundle: Tensor) -> Tensor:
    """Random bundles of all sizes, single objectives, and μ*, each with c·μ = 1: (n, B, M)."""
    shape = tuple(targets.shape)
    spread = torch.as_tensor(10 ** rng.uniform(-3, 0, size=(TRIALS, *shape)))
    chosen = torch.as_tensor(rng.random((TRIALS, *shape)) < rng.uniform(0.3, 1))
    mixes = torch.where(chosen.any(-1, keepdim=True), spread * chosen, spread)
    single = torch.eye(shape[-1], dtype=torch.float64)[:, None].expand(-1, *shape)
    mixes = torch.cat([mixes, single]) / targets
    mixes = mixes / (mixes * targets).sum(-1, keepdim=True)
    return torch.cat([mixes, bundle[None]])
