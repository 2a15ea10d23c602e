"""Rung 1: contextual softmax bandits, one logit an arm and prompt, with planted conflict."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.random_instances import inner_steps_from, random_score
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.token_tree import TokenTree, single_token_tree
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World
from covlaw.toys.planted_conflict import planted_rewards
from covlaw.toys.softmax_steps import at, varied_updates


def bandit_world(
    rng: np.random.Generator,
    prompts: int = 3,
    arms: int = 5,
    objectives: int = 3,
    conflict: float = 0.6,
    spread: float = 1.0,
    prompt_mass: Tensor | None = None,
) -> World:
    """Draw a contextual softmax bandit whose objectives conflict by a chosen amount.

    π(y|x) ∝ e^{θ_xy}: the full tabular softmax, in which a natural-gradient step is the
    exponential tilt (T12). In every prompt and under the drawn policy, each reward has variance 1
    and every two rewards correlate by −conflict/(objectives − 1); see `planted_rewards`.

    Args:
        rng: Draws logits and rewards.
        prompts: P ≥ 1.
        arms: K completions a prompt, more than objectives.
        objectives: M ≥ 1.
        conflict: In [0, 1]: 0 uncorrelated, 1 rewards that add up to a constant.
        spread: Standard deviation of the logits; 0 starts uniform.
        prompt_mass: (P,) probability of each prompt, or None for uniform.

    Raises:
        CovlawError: on sizes, conflict or masses outside their domain.
    """
    if prompts < 1 or not spread >= 0:
        raise CovlawError(f"{prompts} prompts, spread {spread}: use at least 1 and at least 0")
    theta = torch.as_tensor(rng.normal(scale=spread, size=prompts * arms))

    def log_prob(theta: Tensor) -> Tensor:
        return theta.reshape(prompts, arms).log_softmax(1).flatten()

    mass = log_prob(theta).exp().reshape(prompts, arms)
    world = World(
        label=f"bandit {prompts}×{arms}",
        prompt=torch.arange(prompts).repeat_interleave(arms),
        rewards=planted_rewards(rng, mass, objectives, conflict),
        names=tuple(f"objective {j}" for j in range(objectives)),
        theta=theta,
        log_prob=log_prob,
        prompt_mass=prompt_mass,
        tabular=True,
        depth=arms + 8,
    )
    world.rollouts()  # refuses prompt masses that do not fit
    return world


def natural_step(world: World, score: Tensor, rate: float) -> World:
    """θ + η·A_s: the exact natural step along a score (N,), which is the tilt by η (T12)."""
    return at(world, world.theta + rate * centred_score(world, score))


def draw_bandit(rng: np.random.Generator) -> World:
    """Draw a bandit of random size, conflict and prompt masses."""
    prompts, objectives = (int(n) for n in rng.integers(2, 5, size=2))
    arms = int(rng.integers(objectives + 1, 8))
    mass = torch.as_tensor(rng.dirichlet(np.full(prompts, 2.0))) if rng.integers(2) else None
    spread = float(rng.choice([0.3, 1.0]))
    return bandit_world(rng, prompts, arms, objectives, float(rng.uniform()), spread, mass)


def tilted_inner_step(rng: np.random.Generator) -> InnerStep:
    """Draw π_θ after one exact natural step of strength up to 1 along the advantage (T26)."""
    world = draw_bandit(rng)
    advantage = centred_score(world, random_score(world, rng))
    strength = float(10 ** rng.uniform(-2, 0))
    log_ratio = tilt_log_ratio(advantage, strength, world.prompt, world.log_prob_at().exp())
    low, high = (float(x) for x in rng.uniform(0.05, 0.4, size=2))
    return InnerStep(f"{world.label}, tilt", world.rollouts(), advantage, log_ratio, low, high)


class _Bandit:
    name = "bandit"

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        return (draw_bandit(rng) for _ in range(count))

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        return varied_updates(draw_bandit, rng, count)

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        plain = inner_steps_from(draw_bandit, rng, count)
        return (tilted_inner_step(rng) if k % 3 == 2 else next(plain) for k in range(count))

    def trees(self, rng: np.random.Generator, count: int) -> Iterator[TokenTree]:
        return (single_token_tree(draw_bandit(rng)) for _ in range(count))

    def default_count(self, kind: type) -> int:
        return 60


RUNG = _Bandit()
"""Contextual softmax bandits, enumerated."""
