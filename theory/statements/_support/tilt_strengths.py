"""Tilt strengths η on the score's own scale, so that small and large tilts are both tried."""

import numpy as np
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.worlds.world import World


def widest_range(world: World, score: Tensor) -> float:
    """Largest score range within a prompt, max_x S_x; 1 where no score varies beyond rounding.

    A score is a sum of at most M + 2 products, so a smaller range is all rounding, and a tilt on
    its scale would exponentiate numbers without a correct digit.
    """
    width = float(group_by_prompt(world.prompt).span(score).max())
    noise = float(rounding(score.abs().max(), 2 * (world.rewards.shape[1] + 2)))
    return width if width > noise else 1.0


def tilt_strengths(
    world: World, score: Tensor, rng: np.random.Generator, count: int, largest: float = 4.0
) -> list[float]:
    """Draw η of alternating sign, |η|·max_x S_x log-uniform in [largest/80, largest]."""
    sizes = largest * 80.0 ** -rng.random(count) / widest_range(world, score)
    return [float(size) * (-1) ** k for k, size in enumerate(sizes)]
