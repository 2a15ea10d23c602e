"""Covariance-MGDA on a frozen world: what its weights promise, and what every objective gains."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.dynamics.ctwa_signals import grpo_signal
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.estimators.rank_condition import FULL, rank_condition
from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import Part
from covlaw.theory.statements.ctwa._std_rounding import (
    gradient_error,
    mean_std_error,
    signal_error,
)
from covlaw.theory.statements.scalarization._frozen_worlds import frozen_batch, weights_of
from covlaw.theory.worlds.world import World

MEAN_STD_SHARE = 0.0625
"""Share of worlds in which the mean-std weights are judged too: they are slow to compute."""


def covariance_parts(world: World, rng: np.random.Generator) -> list[Part]:
    """The reported headroom under every covariance: raw, and in some worlds normalised."""
    found = prompt_covariances(
        world.rewards, world.prompt, world.log_prob_at().exp(), world.prompt_mass
    )
    live = found.varying()
    parts = [_raw(world, live)] if bool(live.any()) else []
    judged = rng.random() < MEAN_STD_SHARE and bool(live.any())
    if judged and bool((rank_condition(found.of(live)) == FULL).all()):
        parts.append(_mean_std(world, found.of(live), live))
    return parts


def _weights(world: World, geometry: str) -> tuple[Tensor, Tensor, Tensor]:
    """(headroom (), weights (M,), score (N,)) of the scalarizer."""
    scalarizer = make_scalarizer("covariance_mgda", world.names, geometry=geometry)
    state, signal = scalarizer.signal(scalarizer.init(), frozen_batch(world))
    return state.headroom, weights_of(signal), signal.score


def _raw(world: World, live: Tensor) -> Part:
    """v* ≤ Cov(r_j, λ·r)."""
    least, weights, score = _weights(world, "raw")
    mass = world.log_prob_at().exp()
    gain = within_prompt_covariance(
        world.rewards, score, world.prompt, mass, world.prompt_mass
    ).estimate
    size = world.rewards.abs().amax(0)
    length = size @ weights
    # of the gain, of C in v*, and of the min-norm point: each relative to s(s + max|r_j|)
    error = 3 * covariance_rounding(world, (size + length)[None], length[None])
    return least.expand_as(gain)[live], gain[live], error[live]


def _mean_std(world: World, covariances: PromptCovariances, live: Tensor) -> Part:
    """t* ≤ Cov(r_j, Â), Â in units of the prompt's std."""
    least, weights, _ = _weights(world, "mean_std")
    gain = grpo_signal(covariances, weights[live])
    found = headroom(covariances, torch.ones_like(gain))
    gap = (least - found.lower).clamp(min=0.0) + mean_std_error(covariances, weights[live])
    error = signal_error(covariances, weights[live])
    error = error + gradient_error(covariances, weights[live], gap) + gap
    return least.expand_as(gain), gain, error
