"""The scalarizer CTWA on a frozen policy: its own loop, fed the exact statistic (E1)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_bounds import grpo_step_limit
from covlaw.theory.dynamics.ctwa_signals import SIGNALS, mean_std
from covlaw.theory.estimators.headroom import Headroom, headroom, raw_headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer
from covlaw.theory.solvers.min_norm import min_norm_point
from covlaw.theory.statements.scalarization._frozen_worlds import weights_of
from covlaw.theory.worlds.world import World

ASKED = 0.95
"""Share of t* that CTWA is given as target."""

GRPO_SHARE = 0.125
"""Share of worlds whose signal is normalised prompt by prompt: their t* is slow to compute."""

CLEAR = 0.01
"""Least v*_x, relative to the variances, where reaching the targets is waited for: towards 0 the
steps that the step condition allows become more than a check has time for."""


class Frozen(NamedTuple):
    """A frozen world in units of each objective's own std, and how its scores are scaled."""

    covariances: PromptCovariances
    signal: str
    direction: Tensor
    """(M,) c, up to a factor."""
    room: Headroom
    clear: bool
    """Whether v*_x is far enough from 0 in every prompt to wait for the targets."""
    error: Tensor
    """() bound on the rounding of y, and on that of every v*_x relative to it."""

    def step(self, target: Tensor) -> float:
        """The largest η for which every step gains ½ηΣλ_j relu(c_j − y_j)² (T37): v* may err."""
        limit = grpo_step_limit(self.covariances, target)
        return float(limit * (1 - self.error).clamp(min=0.0).sqrt())

    def budget(self, target: Tensor, step: float) -> Tensor:
        """2(g(λ_0) − c·λ_0)/η ≥ Σ_t Σ_j λ_j relu(c_j − y_j)², λ_0 = 1, for feasible targets: ().

        Each step gains ½η times its summand in f = c·λ − g(λ), which feasible targets keep ≤ 0.
        """
        start = torch.ones_like(target)
        spare = mean_std(self.covariances, start) - target.sum()
        return 2 * spare / step


class LoopEnd(NamedTuple):
    """Where the loop ended, and what was missing on the way."""

    log_weights: Tensor
    """(M,) u."""
    observed: Tensor
    """(M,) the last y."""
    missed: Tensor
    """() Σ_t Σ_j λ_j relu(c_j − y_j)² over the steps taken."""
    steps: int


def run_loop(frozen: Frozen, target: Tensor, required: Tensor, step: float, steps: int) -> LoopEnd:
    """The scalarizer's own loop with step η until every y_j ≥ required_j, or out of steps."""
    names = [f"objective {j}" for j in range(len(target))]
    options = {"target": target.tolist(), "step": step, "ema": 1.0, "cap": 1e6}
    scalarizer = make_scalarizer("ctwa", names, **options)
    batch = Batch(torch.zeros(1, len(target), dtype=torch.float64), torch.zeros(1))
    state, observed = scalarizer.init(), torch.full_like(target, -torch.inf)
    missed = torch.zeros((), dtype=torch.float64)
    for taken in range(steps):
        state, signal = scalarizer.signal(state, batch)
        observed = SIGNALS[frozen.signal](frozen.covariances, weights_of(signal))
        if bool((observed >= required).all()):
            return LoopEnd(state.log_weights, observed, missed, taken)
        missed = missed + state.log_weights.exp() @ torch.relu(target - observed).square()
        state = scalarizer.update(state, Observation(covariance=observed))
    return LoopEnd(state.log_weights, observed, missed, steps)


def frozen_at(world: World, rng: np.random.Generator) -> Frozen | None:
    """The world with random directions of targets; None where rounding hides whether v*_x > 0."""
    mass, grpo = world.log_prob_at().exp(), rng.random() < GRPO_SHARE
    found = prompt_covariances(world.rewards, world.prompt, mass, world.prompt_mass)
    covariances = _in_own_units(found if grpo else found.pooled())
    count = covariances.matrices.shape[-1]
    if not count:
        return None
    ratio = _clearance(covariances)
    error = rounding(count, 16 * len(world.prompt) + 64) / ratio.clamp(min=0.0)
    if not bool(error <= 1 - ASKED**2):  # √v* errs by less than what the targets leave of t*
        return None
    direction = torch.as_tensor(rng.uniform(0.5, 1.0, size=count))
    room = (headroom if grpo else _pooled_headroom)(covariances, direction)
    signal = "grpo" if grpo else "pooled"
    return Frozen(covariances, signal, direction, room, bool(ratio > CLEAR), error)


def _clearance(covariances: PromptCovariances) -> Tensor:
    """min_x v*_x/max_j Var_x(r_j): ()."""
    least = min_norm_point(covariances.matrices).value
    largest = covariances.matrices.diagonal(dim1=-2, dim2=-1).amax(-1)
    return torch.where(largest > 0, least / torch.where(largest > 0, largest, 1.0), 0.0).min()


def _in_own_units(found: PromptCovariances) -> PromptCovariances:
    """Of the rewards that vary, each divided by its mean within-prompt std."""
    kept = found.of(found.varying())
    unit = kept.mean_deviations()
    return PromptCovariances(
        kept.matrices / (unit[:, None] * unit),
        kept.prompt_mass,
        kept.means / unit,
        kept.noise / unit,
    )


def _pooled_headroom(covariances: PromptCovariances, direction: Tensor) -> Headroom:
    """T36 with one "prompt": t*² is the raw headroom, a min-norm problem."""
    room = raw_headroom(covariances.within(), direction)
    return Headroom(room.factor.sqrt(), room.lower.sqrt(), room.bundle)
