"""Tilts that turn just beyond T6's closed forms: the constants 12√3 and 32 are the best."""

from functools import cache

import torch

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.statements._support.adversaries import EXTREMAL_MASS
from covlaw.theory.worlds.world import World

ROOM = 1e-2
"""δ of both examples: how far their covariance is from 0."""


@cache
def several_prompts() -> tuple[World, torch.Tensor]:
    """Two equal prompts, and s: they turn at 12√3·|C|/E_x[R S²]·(1 + O(δ)).

    r = s = Bernoulli(p), p = (3 − √3)/6, on one; r = −(1 + δ)s, s = Bernoulli(1 − p), on the other.
    """
    p = EXTREMAL_MASS
    return _world([[p, 1 - p], [1 - p, p]], [1.0, 0.0, -1.0 - ROOM, 0.0]), _vector(1, 0, 1, 0)


@cache
def one_prompt() -> tuple[World, torch.Tensor]:
    """π = (1/4, 1/2, 1/4), s = (0, 1/2, 1), r = (0, 1, δ): (b) and (b′) are tight up to O(δ)."""
    return _world([[0.25, 0.5, 0.25]], [0.0, 1.0, ROOM]), _vector(0, 0.5, 1)


def _world(policies: list[list[float]], reward: list[float]) -> World:
    mass = torch.tensor(policies, dtype=torch.float64)
    prompts, arms = mass.shape
    index = torch.arange(prompts).repeat_interleave(arms)
    return World(
        label="a tight threshold",
        prompt=index,
        rewards=_vector(*reward)[:, None],
        names=("r",),
        theta=mass.log().flatten(),
        log_prob=lambda theta: log_softmax_by_prompt(theta, index, prompts),
        tabular=True,
        depth=2 * arms + 8,
    )


def _vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
