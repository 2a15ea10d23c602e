"""Where weights would lead from the latest samples: the tilt's frontier, and the best of n."""

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.logs.log import Log
from covlaw.theory._numerics.weighting import Grouping, Weighting, weighting
from covlaw.theory.estimators.best_of_n import best_of_n
from covlaw.theory.estimators.frontier import change_along, frontier

ENOUGH, MOST = 64, 5
"""Groups that a look ahead wants, and the last steps at most that it takes them from."""
ROWS = 2**17
REACHES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""Strengths, in units of one standard deviation of the score within prompts."""
SMALLEST = 4
"""Completions of a group that a look ahead needs."""
FURTHER = 1.01
"""Ratio of two KLs in a row below which the samples' own best completions are reached."""


class Point(NamedTuple):
    """One strength of a tilt, or one n."""

    at: float
    """Strength, or n."""
    kl: float
    """Nats; of best of n at most log n − (n − 1)/n."""
    values: list[float]
    standard_error: list[float]
    change: list[float]
    change_error: list[float]
    """Of the difference to the samples themselves, paired by prompt."""


class Ahead(NamedTuple):
    """A look ahead from some steps' samples."""

    steps: list[int]
    groups: int
    tilts: list[Point]
    """As far as the samples show it."""
    best: list[Point]
    turns: list[int]
    """Rewards that the first step moves one way and the end the other, beyond 2 errors each."""


class Vertex(NamedTuple):
    """One set of weights, and where its tilt is at a KL that all of them reach."""

    weights: list[float]
    kl: float
    values: list[float]


class Base(NamedTuple):
    """The samples that a look ahead starts from."""

    rewards: Tensor
    prompt: Tensor
    steps: list[int]


def base(log: Log) -> Base | None:
    """The last steps' completions that know all rewards, in groups of at least `SMALLEST`."""
    chosen: list[tuple[int, slice]] = []
    groups = rows = 0
    for step, part in reversed(list(log.by_step())):
        chosen.append((step, part))
        groups += len(torch.unique(log.prompt[part]))
        rows += part.stop - part.start
        if groups >= ENOUGH or len(chosen) == MOST or rows > ROWS:
            break
    start, stop = chosen[-1][1].start, min(chosen[0][1].stop, chosen[-1][1].start + ROWS)
    rewards, number = log.rewards[start:stop], len(log.labels)
    prompt = log.step[start:stop] * number + log.prompt[start:stop]
    kept = ~torch.isnan(rewards).any(1)
    rewards, prompt = rewards[kept], prompt[kept]
    if not len(prompt):
        return None
    _, inverse, counts = torch.unique(prompt, return_inverse=True, return_counts=True)
    large = counts[inverse] >= SMALLEST
    if int((counts >= SMALLEST).sum()) < 2:
        return None
    return Base(rewards[large], prompt[large], sorted(step for step, _ in chosen))


def look_ahead(start: Base, weights: Tensor) -> Ahead:
    """Tilt along the weights as far as the samples go, and choose the best of n by them."""
    prepared = weighting(Grouping(start.prompt))
    strengths = _strengths(start, weights, prepared)
    found = frontier(start.rewards, start.prompt, weights, strengths)
    change, error = change_along(start.rewards, prepared, weights, strengths)
    there = _moving(found.kl)
    tilts = [
        Point(
            float(strengths[k]),
            float(found.kl[k]),
            found.values[k].tolist(),
            found.standard_error[k].tolist(),
            change[k].tolist(),
            error[k].tolist(),
        )
        for k in there
    ]
    return Ahead(start.steps, len(prepared.prompt), tilts, _best(start, weights), _turns(tilts))


def _moving(kl: Tensor) -> list[int]:
    """Places that the samples show, up to where a stronger tilt changes nothing any more."""
    there: list[int] = (~torch.isnan(kl)).nonzero()[:, 0].tolist()
    still = [k for k in there[1:] if not kl[k] > FURTHER * kl[k - 1]]
    return [k for k in there if not still or k < still[0]]


def _strengths(start: Base, weights: Tensor, prepared: Weighting) -> Tensor:
    centred = prepared.groups.centre(start.rewards @ weights, prepared.row)
    spread = float(centred.square().mean().sqrt())
    return torch.tensor(REACHES, dtype=torch.float64) / (spread if spread > 0 else 1.0)


def _best(start: Base, weights: Tensor) -> list[Point]:
    """Best of 1, 2, 4, … up to half of the usual group, over groups that have so many."""
    _, inverse, counts = torch.unique(start.prompt, return_inverse=True, return_counts=True)
    usual = int(counts.median())
    kept = counts[inverse] >= usual
    if int((counts >= usual).sum()) < 2:
        return []
    rewards, prompt = start.rewards[kept], start.prompt[kept]
    score = rewards @ weights
    plain = best_of_n(rewards, score, prompt, 1)
    points = []
    n = 1
    while n <= max(usual // 2, 1):
        found = best_of_n(rewards, score, prompt, n)
        moved = found.per_prompt - plain.per_prompt
        error = moved.std(0) / len(moved) ** 0.5
        kl = float(torch.tensor(float(n)).log()) - (n - 1) / n
        points.append(
            Point(
                n,
                kl,
                found.estimate.tolist(),
                found.standard_error.tolist(),
                moved.mean(0).tolist(),
                error.tolist(),
            )
        )
        n *= 2
    return points


def _turns(tilts: list[Point]) -> list[int]:
    if len(tilts) < 3:
        return []
    first, last = tilts[1], tilts[-1]
    return [
        j
        for j, (one, other) in enumerate(zip(first.change, last.change, strict=True))
        if one * other < 0
        and abs(one) > 2 * first.change_error[j]
        and abs(other) > 2 * last.change_error[j]
    ]


def front(start: Base) -> list[Vertex]:
    """The whole front of two or three rewards: weights on a grid, each at one common KL."""
    count = start.rewards.shape[1]
    if count not in (2, 3) or bool((start.rewards.amax(0) == start.rewards.amin(0)).any()):
        return []
    fine = 10 if count == 2 else 5
    grid = [g for g in product(range(fine + 1), repeat=count) if sum(g) == fine]
    prepared, scale = weighting(Grouping(start.prompt)), _deviations(start)
    paths = []
    for point in grid:
        weights = torch.tensor(point, dtype=torch.float64) / fine / scale
        strengths = _strengths(start, weights, prepared)
        found = frontier(start.rewards, start.prompt, weights, strengths)
        there = ~torch.isnan(found.kl)
        paths.append((weights * scale, found.kl[there], found.values[there]))
    common = min(float(kl[-1]) for _, kl, _ in paths)
    return [
        Vertex(weights.tolist(), common, _at(kl, values, common)) for weights, kl, values in paths
    ]


def _deviations(start: Base) -> Tensor:
    prepared = weighting(Grouping(start.prompt))
    spread = prepared.groups.centre(start.rewards, prepared.row).square().mean(0).sqrt()
    return torch.where(spread > 0, spread, 1.0)


def _at(kl: Tensor, values: Tensor, at: float) -> list[float]:
    """Values at a KL between two strengths, by linear interpolation."""
    k = int(torch.searchsorted(kl.contiguous(), torch.tensor(at, dtype=kl.dtype)))
    if k == 0 or len(kl) == 1:
        return values[0].tolist()
    k = min(k, len(kl) - 1)
    gap = float(kl[k] - kl[k - 1])
    share = (at - float(kl[k - 1])) / gap if gap > 0 else 0.0
    return (values[k - 1] + share * (values[k] - values[k - 1])).tolist()
