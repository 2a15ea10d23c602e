"""Rung 0: random instances drawn from the class each theorem is about.

Log-linear softmax policies with random features (so directions may be missing) or one logit a
completion (the full tabular softmax), several prompts of unequal size and mass, and reward
columns that are normal, integer with ties, binary, or constant.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.random_trees import random_rewards, random_tree
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import InnerStep, Step, Update, UpdateRecipe, exact_update
from covlaw.theory.worlds.world import World

Draw = Callable[[np.random.Generator], World]


def random_world(rng: np.random.Generator) -> World:
    """Draw one log-linear softmax policy with 1–3 prompts, 2–6 completions and 1–3 objectives."""
    sizes = rng.integers(2, 7, size=rng.integers(1, 4))
    index = torch.as_tensor(np.repeat(np.arange(len(sizes)), sizes))
    rows, columns = int(sizes.sum()), int(rng.integers(1, 4))
    tabular = bool(rng.integers(2))
    features = np.eye(rows) if tabular else rng.normal(size=(rows, int(rng.integers(1, rows + 2))))
    if not tabular:  # what a prompt's features share cancels in the softmax, and costs digits
        features -= np.repeat(_means(features, sizes), sizes, axis=0)
    design, prompts = torch.as_tensor(features), len(sizes)

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(design @ theta, index, prompts)

    prompt_mass = torch.as_tensor(rng.dirichlet(np.ones(prompts))) if rng.integers(2) else None
    return World(
        label="tabular softmax" if tabular else "log-linear softmax",
        prompt=index,
        rewards=torch.as_tensor(np.stack([random_rewards(rng, rows) for _ in range(columns)], 1)),
        names=tuple(f"objective {j}" for j in range(columns)),
        theta=torch.as_tensor(rng.normal(scale=rng.choice([0.3, 1.0]), size=design.shape[1])),
        log_prob=log_prob,
        prompt_mass=prompt_mass,
        tabular=tabular,
        depth=2 * design.shape[1] + 8,
    )


def random_score(world: World, rng: np.random.Generator) -> Tensor:
    """Draw a training signal (N,): a weighting of the objectives plus a part of its own."""
    weights = torch.as_tensor(rng.dirichlet(np.ones(world.rewards.shape[1])))
    own = torch.as_tensor(rng.normal(size=world.prompt.shape[0]))
    return world.rewards @ weights + float(rng.choice([0.0, 0.5])) * own


def ascent(rate: float) -> Step:
    """Plain gradient ascent."""
    return lambda gradient: rate * gradient


def signed_ascent(rate: float, theta: Tensor, decay: float = 0.01) -> Step:
    """Adam's first step in the limit (coordinates of equal size) with decoupled weight decay."""

    def step(gradient: Tensor) -> Tensor:
        scale = gradient.abs() + 1e-8
        return rate * (gradient / scale - decay * theta)

    return step


def updates_from(draw: Draw, rng: np.random.Generator, count: int) -> Iterator[Update]:
    """Yield updates: plain and Adam-like steps, on- and off-policy, small to big."""
    for k in range(count):
        world = draw(rng)
        rate = float(10 ** rng.uniform(-3, -0.5))
        step = ascent(rate) if k % 2 else signed_ascent(rate, world.theta)
        behaviour = nearby(world, rng, 0.3) if k % 3 == 0 else None
        label = f"{'SGD' if k % 2 else 'Adam-like'} {rate:.1e}"
        recipe = UpdateRecipe(label, step, rate, behaviour, [None, 4, 16][k % 3])
        yield exact_update(world, random_score(world, rng), recipe, rng)


def inner_steps_from(draw: Draw, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
    """Yield inner steps of drawn worlds, from unclipped to mostly clipped; a third dual-clipped."""
    for k in range(count):
        world = draw(rng)
        theta = nearby(world, rng, float(10 ** rng.uniform(-2, 0.3)))
        rollouts = world.rollouts()
        log_ratio = world.log_prob_at(theta) - world.log_prob_at()
        advantage = centred_score(world, random_score(world, rng))
        low, high = (float(x) for x in rng.uniform(0.05, 0.4, size=2))
        dual = float(rng.uniform(1.2, 3)) if k % 3 == 0 else None
        yield InnerStep(world.label, rollouts, advantage, log_ratio, low, high, dual)


def nearby(world: World, rng: np.random.Generator, distance: float) -> Tensor:
    """Draw parameters (D,) whose log-probs move by about `distance` (root mean square)."""
    direction = torch.as_tensor(rng.normal(size=world.theta.shape[0]))
    slope = world.directional(direction).square().mean().sqrt()
    return world.theta + direction * (distance / float(slope) if slope > 0 else distance)


def _means(features: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    total = np.add.reduceat(features, np.cumsum(sizes) - sizes)
    return np.asarray(total / sizes[:, None])


class _RandomInstances:
    name = "theory"

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        return (random_world(rng) for _ in range(count))

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        return updates_from(random_world, rng, count)

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        return inner_steps_from(random_world, rng, count)

    def trees(self, rng: np.random.Generator, count: int) -> Iterator[TokenTree]:
        return (random_tree(rng) for _ in range(count))

    def default_count(self, kind: type) -> int:
        return 100 if kind is TokenTree else 200


RUNG = _RandomInstances()
"""Random instances of what each statement is about, and SymPy proofs."""
