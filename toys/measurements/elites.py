"""Search for the worst cases of many kinds at once: in each niche the fittest found so far."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

POPULATION = 2000
"""New candidates a generation."""


class Elites(NamedTuple):
    """The fittest candidate of each niche (Mouret and Clune 2015, "MAP-Elites")."""

    parameters: Tensor
    """(Q, D)."""
    fitness: Tensor
    """(Q,); −inf where no candidate has met the niche."""


def elites(
    fitness: Callable[[Tensor], Tensor],
    dimension: int,
    rng: np.random.Generator,
    generations: int,
) -> Elites:
    """Search all niches together; what is found depends on the generator's seed alone.

    Half of each generation is new, on scales from 0.1 to 3; the other half perturbs elites of all
    niches by steps from 1e-5 to 1, so that near misses of one niche start another.

    Args:
        fitness: (B, D) parameters → (Q, B), −inf or NaN where a candidate is not in the niche.
        dimension: D.
        rng: Draws the candidates.
        generations: How many, of 2000 candidates each.
    """
    best = _fresh(rng, POPULATION, dimension)
    for _ in range(generations):
        pool = torch.cat([best, _near(rng, best), _fresh(rng, POPULATION // 2, dimension)])
        value = fitness(pool).nan_to_num(nan=-torch.inf)
        top = value.max(1)
        best = pool[top.indices]
    return Elites(best, top.values)


def _fresh(rng: np.random.Generator, count: int, dimension: int) -> Tensor:
    scale = 10 ** rng.uniform(-1, 0.5, size=(count, 1))
    return torch.as_tensor(scale * rng.normal(size=(count, dimension)))


def _near(rng: np.random.Generator, best: Tensor) -> Tensor:
    parents = best[torch.as_tensor(rng.integers(0, len(best), size=POPULATION // 2))]
    scale = 10 ** rng.uniform(-5, 0, size=(parents.shape[0], 1))
    return parents + torch.as_tensor(scale * rng.normal(size=tuple(parents.shape)))
