"""Rung 3: a real causal LM whose completions are all listed, with real optimisers."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import InnerStep, Step, Update, UpdateRecipe, exact_update
from covlaw.theory.worlds.world import World
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.updates import (
    ModuleOptimiser,
    adamw,
    clipped_ascent,
    natural,
    sgd,
    warmed_up,
)
from covlaw.toys.transformer.worlds import TransformerWorld, transformer_world

SMALL = ModelShape(vocabulary=4, hidden=8, layers=2)
"""1,288 parameters for at most 3·121 completions: the scores span every signal."""
LARGE = ModelShape(vocabulary=8, hidden=8, layers=2)
"""1,352 parameters for 2·19,608 completions."""
PERIOD = 8
"""Every eighth instance is a large one."""

_OPTIMISERS = ("SGD", "AdamW", "natural gradient")
_RATES = {"SGD": (-3.0, 0.5), "AdamW": (-5.0, -2.0), "natural gradient": (-7.0, -3.0)}
"""log10 of the learning rates: from where the law holds to where it does not."""


def draw_world(rng: np.random.Generator, large: bool = False) -> TransformerWorld:
    """Draw a model, its prompts, and token objectives or (every third) random tables."""
    shape, length = (LARGE, 5) if large else (SMALL, int(rng.integers(3, 5)))
    count = 2 if large else int(rng.integers(1, 4))
    mass = torch.as_tensor(rng.dirichlet(np.ones(count))) if rng.integers(2) else None
    seed, conflict = int(rng.integers(2**31)), float(rng.uniform())
    prompts = _draw_prompts(rng, shape, count)
    drawn = transformer_world(shape, length, prompts, seed, conflict, mass)
    if rng.integers(3):
        return drawn
    table = torch.as_tensor(rng.normal(size=drawn.world.rewards.shape))
    return drawn.with_rewards(table, ("table 0", "table 1", "table 2"))


def _draw_prompts(rng: np.random.Generator, shape: ModelShape, count: int) -> Tensor:
    """Draw distinct prompts of two distinct symbols (P, 2) (why: `transformer_world`)."""
    symbols = np.arange(shape.vocabulary - 1)
    pairs = np.stack(np.meshgrid(symbols, symbols), -1).reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return torch.as_tensor(rng.permutation(pairs)[:count])


def draw_update(rng: np.random.Generator, large: bool, turn: int) -> Update:
    """Train a model a little, then take one step: on- or off-policy, on a batch or exactly.

    The natural gradient is exact, since F⁺ blows the noise of a small batch up without bound.
    """
    choices = _OPTIMISERS[:2] if large else _OPTIMISERS
    name = choices[turn % len(choices)]
    rate = float(10 ** rng.uniform(*_RATES[name]))
    start = draw_world(rng, large)
    score = random_score(start.world, rng)
    make = adamw(rate) if name == "AdamW" else sgd(rate)
    now, optimiser = warmed_up(start, score, make, 1 if large else 3, drift=0.1)
    step: Step = natural(now.world, rate) if name == "natural gradient" else optimiser
    behaviour = start.world.theta if rng.integers(2) and name != "natural gradient" else None
    completions = None if name == "natural gradient" else [None, 8, 64][int(rng.integers(3))]
    recipe = UpdateRecipe(f"{name} {rate:.1e}", step, rate, behaviour, completions)
    return exact_update(now.world, score, recipe, rng)


def draw_inner_step(rng: np.random.Generator, large: bool, dual: bool) -> InnerStep:
    """Draw one of the first few inner iterates of PPO, by SGD or AdamW."""
    drawn = draw_world(rng, large)
    world = drawn.world
    low, high = (float(x) for x in rng.uniform(0.05, 0.4, size=2))
    clip = (low, high, float(rng.uniform(1.5, 3)) if dual else None)
    make = [sgd(float(10 ** rng.uniform(-0.5, 1))), adamw(float(10 ** rng.uniform(-3, -1.5)))]
    optimiser = ModuleOptimiser(drawn.model, make[int(rng.integers(2))], world.theta)
    advantage = centred_score(world, random_score(world, rng))
    iterates = clipped_ascent(world, advantage, clip, optimiser)
    theta = next(islice(iterates, int(rng.integers(1 if large else 4)), None))
    log_ratio = world.log_prob_at(theta) - world.log_prob_at()
    return InnerStep(world.label, world.rollouts(), advantage, log_ratio, *clip)


class _Transformer:
    name = "transformer"

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        return (draw_world(rng, _large(k)).world for k in range(count))

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        return (draw_update(rng, _large(k), k // PERIOD if _large(k) else k) for k in range(count))

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        return (draw_inner_step(rng, _large(k), k % 3 == 0) for k in range(count))

    def trees(self, rng: np.random.Generator, count: int) -> Iterator[TokenTree]:
        return (draw_world(rng, _large(k)).tokens for k in range(count))

    def default_count(self, kind: type) -> int:
        return PERIOD


def _large(index: int) -> bool:
    return index % PERIOD == PERIOD - 1


RUNG = _Transformer()
"""Causal language models small enough to enumerate every completion."""
