"""The correction of one finished step, from the objectives' gradients at the policy before it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.llm.distributed.processes import active
from covlaw.theory.guard import Guarded, Metric, correction, crossed_products, shrunk_gramian
from covlaw.theory.guard.products import (
    effects_of,
    gramian_of,
    moving_effects,
    squared_length,
)


class Products(NamedTuple):
    """Inner products in the optimiser's metric, the same bits on every rank."""

    own: Tensor
    """(M, M) of the gradients that are added."""
    effects: Tensor
    """(M,) of the step on the objectives."""
    moving: Tensor
    """(M,) the same over the coordinates with P > 0."""
    length: Tensor
    """() of the step with itself."""
    gram: Tensor | None
    """(M, M) the Gramian to decide with, where it is another."""


def gradients_and_products(
    halves: Sequence[Tensor], step: Tensor, metric: Metric
) -> tuple[Tensor, Products, tuple[str, ...]]:
    """Merge the gradients (M, D) of one sample, or of two halves, whose storage is reused.

    Two halves give the crossed Gramian, shrunk towards the plain one by its error (T62).
    """
    ranks, weight = active(), metric.values
    crossed = crossed_products(halves[0], halves[1], weight) if len(halves) > 1 else None
    mean = halves[0]
    for other in halves[1:]:
        mean.add_(other)
    mean = mean.div_(len(halves))
    own = ranks.agreed(gramian_of(mean, mean, weight).cpu(), "the guard's Gramian")
    effects = effects_of(mean, step)
    moving = ranks.agreed(moving_effects(mean, step, weight, effects).cpu(), "the guard's effects")
    effects = ranks.agreed(effects.cpu(), "the guard's effects")
    length = ranks.agreed(squared_length(step, weight).cpu(), "the step's length")
    if crossed is None:
        return mean, Products(own, effects, moving, length, None), ()
    crossed = ranks.agreed(crossed.cpu(), "the guard's crossed Gramian")
    shrunk = shrunk_gramian(crossed, own)
    note = (f"crossed Gramian: {float(shrunk.share):.2g} of it is the plain one",)
    return (
        mean,
        Products(own, effects, moving, length, shrunk.gram),
        note * (float(shrunk.share) > 0),
    )


def guarded_step(
    step: Tensor,
    gradients: Tensor,
    metric: Metric,
    products: Products,
    floor: Tensor,
    guarded: Sequence[bool],
    names: Sequence[str],
) -> Guarded:
    """u* = scale·(u + P Σ_k μ_k ĝ_k), in the step's own storage, and what it comes to (T58).

    Effects and lengths are those of the inner products: no further pass over the parameters.
    """
    own, before, moving, length, gram = products
    found = correction(
        own, before, length, floor, gram=gram, guarded=guarded, names=names, moving=moving
    )
    mu, scale = found.weights, found.scale
    pulled = mu @ own
    along, square = mu @ moving, mu @ pulled
    after = scale * (before + pulled)
    new = scale.square() * (length + 2 * along + square)
    apart = new + length - 2 * scale * (length + along)
    size = length.clamp(min=torch.finfo(torch.float64).tiny)
    if bool((mu > 0).any()) or bool(scale < 1):
        pull = mu.to(gradients) @ gradients
        step = step.add_(pull.mul_(metric.values)).mul_(float(scale))
    miss = torch.where(torch.tensor(guarded), (floor - after).clamp(min=0.0), 0.0)
    return Guarded(
        step,
        mu,
        after,
        before,
        miss,
        found.carried,
        scale,
        (new / size).sqrt(),
        (apart.clamp(min=0.0) / size).sqrt(),
        (*metric.notes, *found.notes),
    )
