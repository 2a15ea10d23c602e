"""Pareto dominance and hypervolume of points in M objectives, larger being better."""

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory.scalarizers._hypervolume import covered_hypervolume

MOST_OBJECTIVES = 8
"""Exact hypervolume is exponential in M: beyond this it is refused."""


def dominates(first: Tensor, second: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """Whether `first` is nowhere worse than `second` and somewhere better: (...) bool.

    Args:
        first: (..., M).
        second: (..., M).
        margin: Improvements up to this much, (M,) or one number, do not count as better.

    Raises:
        CovlawError: on points of different dimensions, or a negative margin.
    """
    if first.shape[-1] != second.shape[-1]:
        raise CovlawError(
            f"points of {first.shape[-1]} and {second.shape[-1]} objectives: compare like with like"
        )
    allowed = torch.as_tensor(margin, dtype=torch.float64)
    if not bool((allowed >= 0).all()):
        raise CovlawError(f"margin is {allowed.tolist()}: use numbers ≥ 0")
    return (first >= second).all(-1) & (first > second + allowed).any(-1)


def dominated(points: Tensor, others: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """Whether any row of `others` (n, M) dominates each of `points` (..., M): (...) bool."""
    return dominates(others, points[..., None, :], margin).any(-1)


def dominated_winners(rewards: Tensor, score: Tensor, prompt: Tensor) -> Tensor:
    """Share of each prompt's best completions by a score that another of its own dominates: (P,).

    More than one is best where scores tie. 0 everywhere if the score is a weighted sum of the
    rewards with positive weights.

    Args:
        rewards: (N, M).
        score: (N,).
        prompt: (N,) integer prompt ids.
    """
    groups, points = by_prompt(prompt), as_float64(rewards, "rewards")
    value = as_float64(score, "score")
    top = value.new_full((len(groups.prompts),), -torch.inf)
    top = top.scatter_reduce(0, groups.position, value, "amax")
    best = (value == groups.spread(top)).nonzero()[:, 0]
    same = groups.position == groups.position[best, None]
    beaten = dominates(points, points[best, None, :]) & same
    count = groups.sum((value == groups.spread(top)).to(torch.float64))
    lost = torch.zeros_like(count).index_add(0, groups.position[best], beaten.any(-1).to(count))
    return lost / count


def hypervolume(points: Tensor, floor: Tensor) -> float:
    """Volume that a set of points dominates above `floor` (Zitzler & Thiele 1998), exactly.

    The union of the boxes [floor, p], one point at a time: each adds what no earlier box covers
    (the WFG recursion, While, Bradstreet & Barone 2012). Points not above the floor add nothing.

    Args:
        points: (n, M) or (M,), M ≤ 8.
        floor: (M,) the reference point, e.g. the worst attainable values.

    Raises:
        CovlawError: on shapes that do not fit, entries that are not finite, or M > 8.
    """
    given, corner = as_float64(points, "points"), as_float64(floor, "floor")
    given = given[None] if given.ndim == 1 else given
    if given.ndim != 2 or corner.shape != given.shape[1:]:
        raise CovlawError(
            f"points {tuple(given.shape)} and floor {tuple(corner.shape)}: give (n, M) and (M,)"
        )
    if not 1 <= corner.shape[0] <= MOST_OBJECTIVES:
        raise CovlawError(
            f"hypervolume of {corner.shape[0]} objectives: at most {MOST_OBJECTIVES} are exact "
            "in reasonable time; report fewer objectives together"
        )
    if not bool(torch.isfinite(given).all() and torch.isfinite(corner).all()):
        raise CovlawError("hypervolume of points that are not finite: drop the diverged ones")
    return covered_hypervolume(given, corner)
