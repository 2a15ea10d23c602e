"""Worlds of the bandit, tabular and transformer rungs, as a scalarizer sees them enumerated."""

from importlib.util import find_spec
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.scalarizers import Batch
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.world import World

EXACT_RUNGS = (
    *("bandit", "tabular"),
    pytest.param(
        "transformer",
        marks=pytest.mark.skipif(find_spec("transformers") is None, reason="beyond the core"),
    ),
)


def rung_worlds(rung: str, count: int = 6, seed: int = 0) -> list[World]:
    """Worlds whose rewards all vary; two of the transformer's, which take a second each."""
    count = min(count, 2) if rung == "transformer" else count
    drawn = load_rung(rung).worlds(np.random.default_rng(seed), 4 * count)
    return list(islice((w for w in drawn if bool(covariances(w).varying().all())), count))


def frozen_batch(world: World) -> Batch:
    """Every completion with its probability."""
    mass = world.log_prob_at().exp()
    return Batch(world.rewards, world.prompt, mass, world.prompt_mass)


def covariances(world: World) -> PromptCovariances:
    """Of the rewards, prompt by prompt."""
    batch = frozen_batch(world)
    return prompt_covariances(batch.rewards, batch.prompt, batch.mass, batch.prompt_mass)


def gain(world: World, signal: Tensor) -> Tensor:
    """E_x Cov_x(r_j, signal): how fast each objective rises along the tilt by the signal, (M,)."""
    batch = frozen_batch(world)
    return within_prompt_covariance(
        batch.rewards, signal, batch.prompt, batch.mass, batch.prompt_mass
    ).estimate


def over_prompt_std(world: World, score: Tensor) -> Tensor:
    """GRPO's advantage on exact masses: (s − E_x s)/sd_x(s), as plain sums over each prompt."""
    mass, advantage = world.log_prob_at().exp(), torch.zeros_like(score)
    for prompt in world.prompt.unique():
        rows = world.prompt == prompt
        centred = score[rows] - mass[rows] @ score[rows]
        std = (mass[rows] @ centred.square()).sqrt()
        noise = rounding(score[rows].abs().max(), 4 * int(rows.sum()))
        advantage[rows] = centred / std if std > noise else 0.0
    return advantage
