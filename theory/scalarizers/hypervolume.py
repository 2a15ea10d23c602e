"""Hypervolume that a point adds to a set: the volume only it dominates."""

import torch
from torch import Tensor


def added_hypervolume(point: Tensor, others: Tensor, floor: Tensor) -> float:
    """Volume of the box between `floor` and `point` that no box of `others` covers.

    vol(p) − vol(∪_q box(min(p, q))), the union by the same rule one point at a time (the WFG
    recursion: While, Bradstreet & Barone 2012). Larger is better in every coordinate.

    Args:
        point: (M,).
        others: (n, M).
        floor: (M,) the corner that every box starts from.
    """
    if not bool((point > floor).all()):
        return 0.0
    shadows = undominated(torch.minimum(others, point))
    shadows = shadows[(shadows > floor).all(1)]
    covered = [added_hypervolume(q, shadows[:k], floor) for k, q in enumerate(shadows)]
    return float((point - floor).prod()) - sum(covered)


def undominated(points: Tensor) -> Tensor:
    """Keep the points that no other is at least as good as in every coordinate; equal ones once."""
    points = torch.unique(points, dim=0) if points.numel() else points
    beaten = (points[None] >= points[:, None]).all(2).sum(1) > 1
    return points[~beaten]
