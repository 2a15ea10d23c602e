"""A conjectured bound as a search problem: is a value above 1 to be found anywhere?"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

POPULATION, ELITE = 4096, 64


@dataclass(frozen=True)
class Probe:
    """A question of the form "is `value` ≤ 1 for all parameters?".

    Args:
        id: Short name.
        statement: The statement it belongs to.
        question: What is not known, as a sentence.
        standing: What is known about it.
        dimension: D, number of unconstrained parameters.
        value: (B, D) → (B,), NaN where a candidate makes no sense.
        describe: (D,) → the instance in its own terms.
        slack: Relative rounding error of `value`; only more than 1 + slack is a counterexample.
    """

    id: str
    statement: str
    question: str
    standing: str
    dimension: int
    value: Callable[[Tensor], Tensor]
    describe: Callable[[Tensor], dict[str, list[float] | float]]
    slack: float


class Best(NamedTuple):
    """The largest value found so far."""

    value: float
    parameters: Tensor
    tried: int


def search(
    probe: Probe,
    seconds: float,
    seed: int = 0,
    start: Tensor | None = None,
    progress: Callable[[Best], None] = lambda _: None,
) -> Best:
    """Look for the largest value by random restarts and perturbed elites.

    Half of each generation is new, on scales from 0.1 to 10; the other half perturbs the 64 best
    by steps from 1e-6 to 1, so that a promising instance is refined to many digits.

    Args:
        probe: What to maximise.
        seconds: How long; at least one generation is tried.
        seed: Decides the candidates.
        start: (D,) parameters of an earlier best, to go on from.
        progress: Told the best after each generation.
    """
    rng, end = np.random.default_rng(seed), time.monotonic() + seconds
    elite = _fresh(rng, ELITE, probe.dimension)
    if start is not None:
        elite[0] = start
    tried = 0
    while True:
        pool = torch.cat([elite, _near(rng, elite), _fresh(rng, POPULATION // 2, probe.dimension)])
        value = probe.value(pool).nan_to_num(nan=-torch.inf)
        order = value.argsort(descending=True)[:ELITE]
        elite, tried = pool[order], tried + pool.shape[0]
        best = Best(float(value[order[0]]), elite[0].clone(), tried)
        progress(best)
        if time.monotonic() >= end:
            return best


def _fresh(rng: np.random.Generator, count: int, dimension: int) -> Tensor:
    scale = 10 ** rng.uniform(-1, 1, size=(count, 1))
    return torch.as_tensor(scale * rng.normal(size=(count, dimension)))


def _near(rng: np.random.Generator, elite: Tensor) -> Tensor:
    parents = elite[torch.as_tensor(rng.integers(0, ELITE, size=POPULATION // 2))]
    scale = 10 ** rng.uniform(-6, 0, size=(parents.shape[0], 1))
    return parents + torch.as_tensor(scale * rng.normal(size=tuple(parents.shape)))
