"""Batches of covariance problems: what the statements about targets and CTWA are tried on."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.worlds.world import World

LARGEST_BATCH, SMALLEST_BATCH = 256, 16
"""Problems of one size M at a time."""

COUNTEREXAMPLE = (((1.0, -1.0), (-1.0, 1.0)), ((1.0, 0.0), (0.0, 1.0)))
"""Two equiprobable prompts; in the first the two rewards add up to a constant (T35)."""
COUNTEREXAMPLE_TARGETS = (0.1, 0.5)


def draw_problems(rng: np.random.Generator, count: int) -> Iterator[PromptCovariances]:
    """Yield `count` problems in all, a batch of each size M = 2 … 8 in turn."""
    left, objectives = count, 2
    while left > 0:
        size = min(left, LARGEST_BATCH, max(SMALLEST_BATCH, count // 7))
        yield random_problems(rng, size, objectives, int(rng.integers(1, 5)))
        left, objectives = left - size, objectives % 8 + 1 if objectives < 8 else 2


def random_problems(
    rng: np.random.Generator, size: int, objectives: int, prompts: int
) -> PromptCovariances:
    """Rewards of M + 3 equiprobable completions: correlated, in conflict, and of unequal scale."""
    arms = objectives + 3
    rewards = rng.normal(size=(size, prompts, arms, objectives))
    # a shared part that some objectives like and others dislike: conflict of random strength
    shared = rng.normal(size=(size, prompts, arms, 1))
    taste = rng.uniform(-1.5, 1.5, size=(size, 1, 1, objectives))
    scale = 10 ** rng.uniform(-0.5, 0.5, size=(size, prompts, 1, objectives))
    values = torch.as_tensor((rewards + taste * shared) * scale)
    means = values.mean(2)
    centred = values - means[:, :, None, :]
    mass = torch.as_tensor(rng.dirichlet(np.full(prompts, 2.0), size=size))
    noise = rounding(values.abs().amax(2), arms + 8)
    return PromptCovariances(centred.mT @ centred / arms, mass, means, noise)


def as_problems(instance: PromptCovariances | World) -> PromptCovariances:
    """The covariances of a world's rewards as a batch of one; batches as they are."""
    if isinstance(instance, PromptCovariances):
        return instance
    rollouts = instance.rollouts()
    found = prompt_covariances(rollouts.rewards, *rollouts.groups)
    return PromptCovariances(*(part[None] for part in found))


def counterexample() -> PromptCovariances:
    """T35's: the first prompt's rank condition fails."""
    matrices = torch.tensor(COUNTEREXAMPLE, dtype=torch.float64)[None]
    zero = torch.zeros(1, 2, 2, dtype=torch.float64)
    return PromptCovariances(matrices, torch.full((1, 2), 0.5, dtype=torch.float64), zero, zero)


def one_prompt(matrix: list[list[float]]) -> PromptCovariances:
    """A batch of one problem with one prompt."""
    matrices = torch.tensor(matrix, dtype=torch.float64)[None, None]
    zero = torch.zeros(1, 1, len(matrix), dtype=torch.float64)
    return PromptCovariances(matrices, torch.ones(1, 1, dtype=torch.float64), zero, zero)


def combined(problems: PromptCovariances, maps: Tensor) -> PromptCovariances:
    """The problems of new objectives Tr, for each map T (V, M', M): V times as many problems."""
    size = problems.matrices.shape[0]
    wide = maps[:, None, None]
    parts = (
        wide @ problems.matrices @ wide.mT,
        problems.prompt_mass.expand(len(maps), size, -1),
        (wide @ problems.means[..., None])[..., 0],
        (wide.abs() @ problems.noise[..., None])[..., 0],
    )
    return PromptCovariances(*(part.flatten(0, 1) for part in parts))


def with_dependent_objective(problems: PromptCovariances) -> PromptCovariances:
    """Add one objective, in three ways: 2r_1, r_1 + r_M/2, and −Σ_j r_j, which nothing can suit."""
    count = problems.matrices.shape[-1]
    extra = torch.zeros(3, 1, count, dtype=torch.float64)
    extra[0, 0, 0] = 2.0
    extra[1, 0, 0] += 1.0
    extra[1, 0, -1] += 0.5
    extra[2] = -1.0
    identity = torch.eye(count, dtype=torch.float64).expand(3, -1, -1)
    return combined(problems, torch.cat([identity, extra], 1))


def within_noise(problems: PromptCovariances) -> Tensor:
    """Bound on the rounding error of √C_jj: (B, M), as a mean over prompts in squares."""
    squared = (problems.prompt_mass[..., None] * problems.noise.square()).sum(-2)
    return squared.sqrt()


def correlations(problems: PromptCovariances) -> tuple[Tensor, Tensor, Tensor]:
    """Correlations of C (B, M, M), the units √C_jj (B, M), and what rounding leaves of λ'Cλ (B,).

    Objectives that do not vary beyond rounding are exact zeros with unit 1.
    """
    within, noise = problems.within(), within_noise(problems)
    deviation = within.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
    live = deviation > noise
    unit = torch.where(live, deviation, 1.0)
    both = live[..., :, None] & live[..., None, :]
    matrix = torch.where(both, within / (unit[..., :, None] * unit[..., None, :]), 0.0)
    share = torch.where(live, noise / unit, 0.0).amax(-1)
    return matrix, unit, share.square() + rounding(1.0, 16 * unit.shape[-1] + 64)


def drawn_targets(
    rng: np.random.Generator, scale: Tensor, spread: tuple[float, float] = (-1.0, 0.0)
) -> Tensor:
    """Positive targets: `scale` times 10 to the power of a uniform draw from `spread`."""
    return scale * torch.as_tensor(10 ** rng.uniform(*spread, size=tuple(scale.shape)))
