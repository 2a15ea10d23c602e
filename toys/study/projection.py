"""Many guarded steps at once: `theory.guard`'s projection and bounds, a run a row."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.solvers.least_change import guard_weights


class Projected(NamedTuple):
    """R guarded steps."""

    step: Tensor
    """(R, D)."""
    effects: Tensor
    """(R, M) g_j·u* under the gradients given."""
    weights: Tensor
    """(R, M) μ, as applied."""


def projected(
    step: Tensor,
    gradients: Tensor,
    metric: Tensor,
    floor: Tensor,
    gram: Tensor | None = None,
) -> Projected:
    """Change each step as little as keeps its floors, and never lengthen it (T58, T59).

    As `theory.guard.guard_step` row by row, which is its referee.

    Args:
        step: (R, D) u.
        gradients: (R, M, D) g_j.
        metric: (R, D) P.
        floor: (R, M) b_j, or one for all.
        gram: (R, M, M) to use instead of the gradients' own; theirs where it is NaN, or None.
    """
    scaled = gradients * metric[:, None]
    own = scaled @ gradients.mT
    effects = (gradients @ step[..., None])[..., 0]
    moving = (gradients @ torch.where(metric > 0, step, 0.0)[..., None])[..., 0]
    length, floor = squared_length(step, metric), floor.expand_as(effects)
    live = own.diagonal(dim1=1, dim2=2) > 0
    both = live[:, :, None] & live[:, None, :]
    exact = torch.ones_like(length, dtype=torch.bool)
    if gram is not None:
        exact = torch.isnan(gram).any(2).any(1)
    used = own if gram is None else torch.where(exact[:, None, None], own, gram)
    used = torch.where(both, used, 0.0)
    weights = torch.where(live, guard_weights(used, effects, floor), 0.0)
    weights, scale = _bounded(own, moving, length, floor + (moving - effects), weights, exact)
    pull = (weights[:, None] @ scaled)[:, 0]
    moved = (step + pull) * scale[:, None]
    kept = ((weights > 0).any(1) | (scale < 1))[:, None]
    moved = torch.where(kept, moved, step)  # to the bit
    return Projected(moved, (gradients @ moved[..., None])[..., 0], weights)


def conflict_free(gradients: Tensor) -> Tensor:
    """ConFIG's direction of the gradients (R, M, D): the same cosine > 0 with each of them.

    d = (Σ_j g_j·u)·u, u the unit vector along Û(Û'Û)⁻¹1, Û the unit gradients as columns. Where
    they are dependent there may be no such direction: the pseudo-inverse then stands for the
    inverse (Liu, Chu & Thuerey 2024, arXiv 2408.11104).
    """
    unit = torch.nn.functional.normalize(gradients, dim=2, eps=1e-300)
    weights = torch.linalg.pinv(unit @ unit.mT, hermitian=True).sum(2, keepdim=True)
    along = torch.nn.functional.normalize((weights.mT @ unit)[:, 0], dim=1, eps=1e-300)
    found: Tensor = (gradients @ along[..., None]).sum(1) * along
    return found


def squared_length(step: Tensor, metric: Tensor) -> Tensor:
    """|u|² = u'P⁻¹u, without coordinates where P = 0: (R,)."""
    moves = metric > 0
    return torch.where(moves, step.square() / torch.where(moves, metric, 1.0), 0.0).sum(1)


def _bounded(
    own: Tensor, inner: Tensor, length: Tensor, floor: Tensor, weights: Tensor, exact: Tensor
) -> tuple[Tensor, Tensor]:
    """Cut corrections back, and shorten steps, until |u*| ≤ |u|: weights (R, M) and scale (R,)."""
    along = (weights * inner).sum(1)
    square = (weights[:, None] @ own @ weights[..., None])[:, 0, 0]
    slack = 64 * inner.shape[1] * 2.0**-53 * (length + along.abs() + square)
    long = 2 * along + square > slack
    some = torch.where(square > 0, square, 1.0)
    safe = (floor <= 0).all(1)
    carried = torch.where(safe, (-2 * along / some).clamp(0.0, 1.0), 1.0)
    short = (length / some).sqrt().clamp(max=1.0)
    carried = torch.where(safe | exact, carried, short)
    carried = torch.where(long, carried, 1.0)
    longer = length + 2 * carried * along + carried.square() * square
    tight = long & (longer > length)
    scale = torch.where(tight, (length / torch.where(tight, longer, 1.0)).sqrt(), 1.0)
    return weights * carried[:, None], scale
