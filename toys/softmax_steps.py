"""Steps of softmax policies: policy gradient, exact natural gradient, and `torch.optim`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.geometry.natural_gradient import dense_natural_step
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.random_instances import (
    Draw,
    nearby,
    random_score,
    updates_from,
)
from covlaw.theory.worlds.updates import Step, Update, UpdateRecipe, exact_update
from covlaw.theory.worlds.world import World

MakeOptimiser = Callable[[list[Tensor]], torch.optim.Optimizer]


def at(world: World, theta: Tensor) -> World:
    """The same world with θ (D,) as its current policy."""
    return replace(world, theta=theta, cache={})


def policy_gradient(world: World, score: Tensor) -> Tensor:
    """G_s = E_x E_π[A_s ∇log π], the exact gradient of E s: (D,)."""
    return world.score_sum(world.row_weight() * centred_score(world, score))


def vanilla_step(world: World, score: Tensor, rate: float) -> World:
    """θ + η·G_s: one step of exact policy gradient along a score (N,)."""
    return at(world, world.theta + rate * policy_gradient(world, score))


def natural(world: World, rate: float) -> Step:
    """η·F⁺ĝ for any gradient ĝ (D,), F the Fisher matrix of the enumerated policy (T12)."""
    return lambda gradient: rate * dense_natural_step(world, gradient)


def torch_step(theta: Tensor, make: MakeOptimiser) -> Step:
    """First step of a `torch.optim` optimiser at θ (D,), weight decay and all.

    Args:
        theta: Where the step starts.
        make: Builds the optimiser, e.g. `lambda p: torch.optim.AdamW(p, lr=1e-3)`.
    """

    def step(gradient: Tensor) -> Tensor:
        parameter = torch.nn.Parameter(theta.clone())
        parameter.grad = -gradient
        make([parameter]).step()
        return parameter.detach() - theta

    return step


def varied_updates(draw: Draw, rng: np.random.Generator, count: int) -> Iterator[Update]:
    """Yield updates of drawn worlds; every third is AdamW's or a natural step, else as rung 0."""
    plain = updates_from(draw, rng, count)
    for k in range(count):
        yield _real_update(draw(rng), rng, k) if k % 3 == 2 else next(plain)


def _real_update(world: World, rng: np.random.Generator, k: int) -> Update:
    rate, adam = float(10 ** rng.uniform(-3, -0.5)), k % 2 == 0
    optimiser = torch_step(world.theta, lambda p: torch.optim.AdamW(p, lr=rate))
    step = optimiser if adam else natural(world, rate)
    behaviour = nearby(world, rng, 0.3) if k % 4 >= 2 else None
    label = f"{'AdamW' if adam else 'natural gradient'} {rate:.1e}"
    recipe = UpdateRecipe(label, step, rate, behaviour, [None, 16][k // 6 % 2])
    return exact_update(world, random_score(world, rng), recipe, rng)
