"""Shared by part E: worlds with planted conflict, and a world as the batch of a scalarizer."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.scalarizers import Batch, Signal, make_scalarizer
from covlaw.theory.worlds.world import World

LAW_NEEDS_EXPECTATIONS = (
    "an LLM's expected covariances and gradients are not known; its runs are judged by their audits"
)


def conflict_worlds(rng: np.random.Generator, count: int) -> Iterator[World]:
    """Yield tabular bandits of 1–3 prompts, 3–6 arms and 2–4 objectives; 60 % plant a conflict."""
    return (_conflict_world(rng) for _ in range(count))


def frozen_batch(world: World, gramian: Tensor | None = None) -> Batch:
    """Every completion with its probability, as a scalarizer sees an enumerated world."""
    mass = world.log_prob_at().exp()
    return Batch(world.rewards, world.prompt, mass, world.prompt_mass, gramian)


def weights_of(signal: Signal) -> Tensor:
    """The weights (M,) that a scalarizer recorded."""
    if signal.weights is None:
        raise TypeError("this scalarizer records no weights")
    return signal.weights


def mgda_weights(world: World, gradients: Tensor) -> Tensor:
    """The weights that the scalarizer MGDA gives a world with these gradients: (M,)."""
    scalarizer = make_scalarizer("mgda", world.names)
    batch = frozen_batch(world, gradients @ gradients.T)
    return weights_of(scalarizer.signal(scalarizer.init(), batch)[1])


def policy_gradients(world: World) -> Tensor:
    """∇_θ J_j of every objective, exact: (M, D)."""
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    weighted = world.row_weight()[:, None] * groups.centre(world.rewards, mass)
    return torch.stack([world.score_sum(column) for column in weighted.T])


def gradient_operations(world: World) -> int:
    """Roundings of an inner product of gradients that are taken as given."""
    return 16 * (world.theta.shape[0] + world.rewards.shape[1]) + 64


def _conflict_world(rng: np.random.Generator) -> World:
    prompts, arms, objectives = (int(rng.integers(*r)) for r in ((1, 4), (3, 7), (2, 5)))
    index = torch.arange(prompts).repeat_interleave(arms)

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(theta, index, prompts)

    masses = torch.as_tensor(rng.dirichlet(np.ones(prompts))) if rng.integers(2) else None
    return World(
        label=f"conflict bandit {prompts}×{arms}×{objectives}",
        prompt=index,
        rewards=_rewards(rng, prompts * arms, objectives),
        names=tuple(f"objective {j}" for j in range(objectives)),
        theta=torch.as_tensor(rng.normal(scale=rng.choice([0.3, 1.0]), size=prompts * arms)),
        log_prob=log_prob,
        prompt_mass=masses,
        tabular=True,
        depth=arms + 8,
    )


def _rewards(rng: np.random.Generator, rows: int, objectives: int) -> Tensor:
    """Normal rewards, or small integers; where conflict is planted, all share −their mean."""
    draw = rng.normal(size=(rows, objectives))
    if rng.random() < 0.6:  # correlation −κ/(M−1): at κ = 1 the rewards add up to a constant
        draw -= (1 - np.sqrt(1 - rng.uniform(0.5, 1.0))) * draw.mean(1, keepdims=True)
    if rng.random() < 0.25:
        return torch.as_tensor(np.round(draw))
    return torch.as_tensor(draw * 10.0 ** rng.uniform(-1, 1, size=objectives))
