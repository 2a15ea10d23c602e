"""The guard: the least change of an optimiser's finished step after which no floor is missed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.correction import (
    Correction,
    correction,
    floors_of,
    kept_objectives,
    objective_name,
    require_fitting,
)
from covlaw.theory.guard.products import (
    effects_of,
    gramian_of,
    moving_effects,
    squared_length,
)


class Guarded(NamedTuple):
    """A guarded step and how it came about."""

    step: Tensor
    """(D,) u*, in the dtype of the step given."""
    weights: Tensor
    """(M,) μ ≥ 0 of u* = scale·(u + P Σ_k μ_k g_k), after `carried`; 0 where nothing is pulled."""
    effects: Tensor
    """(M,) g_j·u*, in units of reward."""
    before: Tensor
    """(M,) g_j·u."""
    shortfall: Tensor
    """(M,) by how much u* misses each floor: 0 where it is kept to rounding."""
    carried: Tensor
    """() share of the correction that was applied: below 1 where all of it would lengthen the
    step (a Gramian that does not describe the gradients), 0 where it was refused."""
    scale: Tensor
    """() by how much the corrected step was shortened so as not to be longer than u."""
    length: Tensor
    """() |u*|/|u| in the metric, at most 1."""
    changed: Tensor
    """() |u* − u|/|u| in the metric."""
    notes: tuple[str, ...]
    """What was refused or could not be done, a sentence each."""


def guard_step(
    step: Tensor,
    gradients: Tensor,
    metric: Tensor | None = None,
    floor: Any = 0.0,
    *,
    gram: Tensor | None = None,
    guarded: Sequence[bool] | Tensor | None = None,
    names: Sequence[str] | None = None,
) -> Guarded:
    """Change a finished step as little as keeps every objective's floor: T58, T59.

    u* = argmin |v − u|² subject to g_j·v ≥ b_j, |v|² = v'P⁻¹v: u* = u + P Σ_k μ_k g_k. The step
    is whatever the optimiser did, momentum, clipping, weight decay and several inner steps
    included. |u*| ≤ |u| always: the projection alone keeps it for floors b ≤ 0; where a positive
    floor asks for more, the corrected step is shortened as a whole (which turns no sign); where
    `gram` does not describe the gradients, the correction is cut back, at last to nothing.

    First order: an objective may still fall by curvature (T60, `curvature_floors`), or where its
    gradient is an estimate (T62, T63).

    Args:
        step: (D,) u = θ_new − θ_old, flat.
        gradients: (M, D) g_j = ∇J_j at θ_old, of what should rise.
        metric: (D,) P ≥ 0, e.g. `optimiser_metric(...).values`; None: 1 everywhere. Its scale does
            not matter. A coordinate with P = 0 stays as the optimiser left it.
        floor: b_j, a number or (M,), in units of reward: 0: may not fall; < 0: may fall by as
            much; > 0: must rise.
        gram: (M, M) estimate of g_j'P g_k to use instead of the gradients' own, e.g.
            `shrunk_gramian` of two halves (T62).
        guarded: (M,) which objectives; None: all.
        names: M names for messages; None: numbers.

    Raises:
        CovlawError: on shapes and numbers that do not fit, values that are not finite, a metric
            below 0, and a `gram` that is not positive semidefinite.
    """
    require_fitting(len(gradients), gram, names)
    u, g, p = _checked(step, gradients, metric, names)
    own = gramian_of(g, g, p)
    effects, length = effects_of(g, u), squared_length(u, p)
    moving = moving_effects(g, u, p, effects)
    found = correction(
        own, effects, length, floor, gram=gram, guarded=guarded, names=names, moving=moving
    )
    moved = _moved(u, g, p, found)
    after = effects_of(g, moved)
    least = floors_of(floor, after)
    kept = kept_objectives(guarded, len(g)).to(after.device)
    miss = torch.where(kept, (least - after).clamp(min=0.0), 0.0)
    size = length.clamp(min=torch.finfo(torch.float64).tiny)
    return Guarded(
        moved.to(step.dtype),
        found.weights,
        after,
        effects,
        torch.where(miss > _slack(own, length, after, least), miss, 0.0),
        found.carried,
        found.scale,
        (squared_length(moved, p) / size).sqrt(),
        (squared_length(moved - u, p) / size).sqrt(),
        found.notes,
    )


def _moved(u: Tensor, g: Tensor, p: Tensor | None, found: Correction) -> Tensor:
    if not bool((found.weights > 0).any()) and bool(found.scale == 1):
        return u  # to the bit
    pull = found.weights.to(g.dtype) @ g
    return (u + (pull if p is None else p * pull)) * found.scale.to(u.dtype)


def _slack(own: Tensor, length: Tensor, after: Tensor, floor: Tensor) -> Tensor:
    """What rounding explains of a missed floor: relative to |g_j|·|u| and to the floor."""
    size = (own.diagonal().clamp(min=0.0) * length).sqrt() + after.abs() + floor.abs()
    return 1e-9 * size


def _checked(
    step: Tensor, gradients: Tensor, metric: Tensor | None, names: Sequence[str] | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    if step.ndim != 1 or gradients.ndim != 2 or gradients.shape[1] != step.shape[0]:
        raise CovlawError(
            f"step {tuple(step.shape)} and gradients {tuple(gradients.shape)} do not fit: give "
            "flat tensors (D,) and (M, D)"
        )
    if not bool(torch.isfinite(step).all()):
        raise CovlawError("step has entries that are not finite: the optimiser's step is broken")
    finite = torch.isfinite(gradients).all(1)
    if not bool(finite.all()):
        broken = ", ".join(objective_name(names, int(j)) for j in (~finite).nonzero()[:, 0])
        raise CovlawError(f"the gradient of {broken} is not finite: mend its rewards or log-probs")
    if metric is not None and (metric.shape != step.shape or not bool((metric >= 0).all())):
        raise CovlawError(
            f"metric of shape {tuple(metric.shape)} must hold one finite value ≥ 0 a parameter"
        )
    if metric is not None and not bool(torch.isfinite(metric).all()):
        raise CovlawError("metric has entries that are not finite: the optimiser's state is broken")
    wide = torch.promote_types(torch.promote_types(step.dtype, gradients.dtype), torch.float32)
    return step.to(wide), gradients.to(wide), None if metric is None else metric.to(wide)
