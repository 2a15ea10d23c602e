"""Hypervolume that a point adds to a set: the volume only it dominates."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

Point = tuple[float, ...]


def added_hypervolume(point: Tensor, others: Tensor, floor: Tensor) -> float:
    """Volume of the box between `floor` and `point` that no box of `others` covers.

    vol(p) − vol(∪_q box(min(p, q))), the union by the same rule one point at a time (the WFG
    recursion: While, Bradstreet & Barone 2012). Larger is better in every coordinate.

    Args:
        point: (M,).
        others: (n, M).
        floor: (M,) the corner that every box starts from.
    """
    return _added(tuple(point.tolist()), _points(others), tuple(floor.tolist()))


def covered_hypervolume(points: Tensor, floor: Tensor) -> float:
    """Volume of the union of the boxes from `floor` (M,) to the points (n, M)."""
    return _covered(_points(points), tuple(floor.tolist()))


def undominated(points: Tensor) -> Tensor:
    """Keep the points that no other is at least as good as in every coordinate; equal ones once."""
    front = _undominated(_points(points))
    return torch.tensor(front, dtype=points.dtype).reshape(len(front), points.shape[1])


# plain numbers: a tensor's fixed cost is a hundred times that of its two or three coordinates


def _points(points: Tensor) -> list[Point]:
    return [tuple(row) for row in points.tolist()]


def _added(point: Point, others: Sequence[Point], floor: Point) -> float:
    if not _inside(floor, point):
        return 0.0
    shadows = [tuple(map(min, other, point)) for other in others]
    return prod(p - f for p, f in zip(point, floor, strict=True)) - _covered(shadows, floor)


def _covered(points: Sequence[Point], floor: Point) -> float:
    front = _undominated([point for point in points if _inside(floor, point)])
    return sum((_added(point, front[:k], floor) for k, point in enumerate(front)), start=0.0)


def _undominated(points: Sequence[Point]) -> list[Point]:
    """The front in ascending order, so that the sum over it does not depend on the order given."""
    kept = sorted(set(points))
    return [p for k, p in enumerate(kept) if not any(_covers(q, p) for q in kept[k + 1 :])]


def _inside(floor: Point, point: Point) -> bool:
    return all(p > f for p, f in zip(point, floor, strict=True))


def _covers(better: Point, point: Point) -> bool:
    return all(b >= p for b, p in zip(better, point, strict=True))
