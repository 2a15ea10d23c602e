"""What a path of CTWA must satisfy when it climbs a concave potential f (T33, T37, T38)."""

from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_bounds import grpo_potential, grpo_weight_bound
from covlaw.theory.dynamics.ctwa_dynamics import Controller, ctwa_path
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements.base import Part
from covlaw.theory.statements.ctwa._std_rounding import mean_std_error


class Climb(NamedTuple):
    """A path of T steps of B problems."""

    potential: Tensor
    """(T+1, B) f(λ_t)."""
    rounding: Tensor
    """(T+1, B) bound on the error of each."""
    weights: Tensor
    """(T+1, B, M) λ_t."""
    deficit: Tensor
    """(T+1, B, M) d = relu(c − y)."""
    step: Tensor
    """(B,) η."""


class Ceiling(NamedTuple):
    """What the path may not exceed, (B,) each."""

    weights: Tensor
    """Bound of Σλ_t."""
    potential: Tensor
    """Bound of f."""
    error: Tensor
    """Share by which rounding may move both."""


def gain_part(climb: Climb, share: float = 0.5) -> Part:
    """`share` of η Σ_j λ_j d_j² under the gain of f, step by step: (T·B,) each."""
    shortfall = (climb.weights * climb.deficit.square()).sum(-1)[:-1]
    gain = climb.potential[1:] - climb.potential[:-1]
    noise = climb.rounding[1:] + climb.rounding[:-1]
    return (share * climb.step * shortfall).flatten(), gain.flatten(), noise.flatten()


def climb_sides(climb: Climb, ceiling: Ceiling) -> list[Part]:
    """Gain a step, weights' bound, and how fast the shortfall must vanish.

    Σ_t ½η Σ_j λ_j d_j² ≤ f_T − f_0 ≤ max f − f_0, so the least shortfall of T steps is at most
    2(max f − f_0)/(ηT): it tends to 0, and with it every d_j, as λ_j ≥ λ_j0.
    """
    shortfall = (climb.weights * climb.deficit.square()).sum(-1)[:-1]
    total = climb.weights.sum(-1).amax(0)
    pace = 2 / (climb.step * shortfall.shape[0])
    slowest = pace * (ceiling.potential - climb.potential[0])
    late = pace * (climb.rounding[0] + ceiling.error * ceiling.potential.abs())
    return [
        gain_part(climb),
        (total, ceiling.weights, ceiling.error * ceiling.weights),
        (shortfall.amin(0), slowest, late),
    ]


def kept(problems: PromptCovariances, chosen: Tensor) -> PromptCovariances:
    """The chosen (B,) problems of a batch."""
    return PromptCovariances(*(part[chosen] for part in problems))


def grpo_climb(
    problems: PromptCovariances, targets: Tensor, start: Tensor, step: Tensor, steps: int
) -> list[Part]:
    """Compare a path of `steps` steps with every claim of T37 for feasible targets."""
    climb = grpo_path(problems, targets, start, step, steps)
    bound = grpo_weight_bound(problems, targets, start.exp())
    error = climb.rounding[0] / -climb.potential[0] + rounding(1.0, 64)
    return climb_sides(climb, Ceiling(bound, torch.zeros_like(bound), error))


def grpo_path(
    problems: PromptCovariances, targets: Tensor, start: Tensor, step: Tensor, steps: int
) -> Climb:
    """A path of `steps` steps under GRPO's advantage."""
    path = ctwa_path(problems, targets, start, Controller("grpo", step))
    states = list(islice(path, steps + 1))
    weights = torch.stack([s.log_weights.exp() for s in states])
    linear = (targets * weights).sum(-1)
    return Climb(
        potential=grpo_potential(problems, targets, weights),
        rounding=mean_std_error(problems, weights) + rounding(linear, targets.shape[-1] + 8),
        weights=weights,
        deficit=torch.stack([torch.relu(targets - s.signal) for s in states]),
        step=step,
    )
