"""Two objectives of a world, one to be maximised and one constrained, for the Lagrangian (E4)."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix, within_prompt_covariance
from covlaw.theory.scalarizers import Scalarizer, make_scalarizer
from covlaw.theory.scalarizers.lagrangian import LagrangianState
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.scalarization._frozen_worlds import frozen_batch
from covlaw.theory.worlds.world import World


class Constraint(NamedTuple):
    """What decides the fate of the constraint: r_k beside the primary reward r_0."""

    cross: Tensor
    """() Cov(r_k, r_0)."""
    variance: Tensor
    """() Var_k, within prompts."""
    scale: Tensor
    """(2,) sd_0 and sd_k over the batch with `reference`, else 1."""
    rounding: Tensor
    """() bound on the rounding of Cov(r_k, ·/scale)."""

    @property
    def threshold(self) -> Tensor:
        """λ* = −Cov(r_k, r_0)·sd_k/(sd_0·Var_k)."""
        return -self.cross * self.scale[1] / (self.scale[0] * self.variance)


def random_pair(world: World, rng: np.random.Generator) -> World:
    """The world with two of its objectives, the first of them to be maximised."""
    if len(world.names) < 2:
        return world
    chosen = rng.permutation(len(world.names))[:2]
    return replace(world, rewards=world.rewards[:, chosen], names=("primary", "constraint"))


def lagrangian(pair: World, reference: bool, **options: Any) -> Scalarizer[LagrangianState]:
    """The scalarizer of a pair, its multiplier all but uncapped."""
    return make_scalarizer("lagrangian", pair.names, reference=reference, cap=1e300, **options)


def constraint_of(pair: World, reference: bool) -> Constraint | None:
    """None where one of the rewards hardly varies: its variance is then mostly rounding."""
    if len(pair.names) < 2:
        return None
    weight, mass = pair.row_weight(), pair.log_prob_at().exp()
    gap = pair.rewards - weight @ pair.rewards
    spread = (weight @ gap.square()).sqrt()
    size = pair.rewards.abs().amax(0)
    scale = spread if reference else torch.ones_like(spread)
    matrix = covariance_matrix(pair.rewards, pair.prompt, mass, pair.prompt_mass)
    error = covariance_rounding(pair, pair.rewards, size.max()[None])[1]
    if not bool((spread > rounding(size, 64 * len(mass)) * 1e6).all()):
        return None
    if not bool(matrix[1, 1] > 1e6 * error):
        return None
    factor = (1 / scale).sum() * (1 + (size / spread).max() if reference else 1.0)
    return Constraint(matrix[1, 0], matrix[1, 1], scale, 4 * error * factor)


def constrained_covariance(
    pair: World, scalarizer: Scalarizer[LagrangianState], multiplier: Tensor
) -> Tensor:
    """Cov(r_k, signal) with λ_k = `multiplier`: ()."""
    state = LagrangianState(torch.stack([torch.zeros_like(multiplier), multiplier]))
    batch = frozen_batch(pair)
    score = scalarizer.signal(state, batch)[1].score
    return within_prompt_covariance(
        pair.rewards, score, pair.prompt, batch.mass, pair.prompt_mass
    ).estimate[1]
