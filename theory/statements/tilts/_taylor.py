"""Taylor coefficients of a tilted value by Cauchy's integral, and what a series rounds (T3)."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.statements.tilts._tilted_means import share, tilted_means
from covlaw.theory.worlds.world import World


def taylor_coefficients(world: World, score: Tensor, eta: float, orders: int, nodes: int) -> Tensor:
    """(1/n!) d^n/dη^n E_{π_η} r_j, n = 1, …, `orders`: (orders, M), from values alone.

    The mean of J(η + e^{iφ})·e^{−inφ} over `nodes` equal angles.
    """
    angle = 2 * np.pi * np.arange(nodes) / nodes
    means = tilted_means(world, world.rewards.numpy(), score.numpy(), eta + np.exp(1j * angle))
    values = np.einsum("p,epm->em", share(world), means)
    turned = np.exp(-1j * np.outer(np.arange(1, orders + 1), angle))
    return torch.as_tensor((turned @ values).real / nodes)


def recursion_growth(strength: float, terms: int) -> float:
    """How much the recursion of `joint_cumulants` may enlarge a relative error in the series.

    Σ_n strength^n·K_n/(n!·R), K_n the sum of the sizes of κ_n's terms.
    """
    return sum(strength**n * size for n, size in enumerate(_term_sizes(terms)))


def factorials(orders: int) -> Tensor:
    """N! for n = 1, …, `orders`: (orders, 1)."""
    values = [float(math.factorial(n)) for n in range(1, orders + 1)]
    return torch.tensor(values, dtype=torch.float64)[:, None]


@cache
def _term_sizes(terms: int) -> tuple[float, ...]:
    """K_n/(n!·R): with |μ_k| ≤ 1, |ν_k| ≤ R it is 1/n! + Σ_{k≥2} (1/k!)·K_{n−k}/((n−k)!·R)."""
    sizes = [0.0]
    for n in range(1, terms + 1):
        lower = sum(sizes[n - k] / math.factorial(k) for k in range(2, n + 1))
        sizes.append(1 / math.factorial(n) + lower)
    return tuple(sizes)
