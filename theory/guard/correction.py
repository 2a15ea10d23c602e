"""How much of each gradient to add to a step, from inner products alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.solvers.least_change import least_change


class Correction(NamedTuple):
    """What to add to a step, from inner products alone: as `guard_step`, M numbers."""

    weights: Tensor
    """(M,) μ ≥ 0, `carried` included, `scale` not."""
    carried: Tensor
    """()."""
    scale: Tensor
    """()."""
    notes: tuple[str, ...]
    """A sentence each."""


def correction(
    own: Tensor,
    effects: Tensor,
    length: Tensor | float,
    floor: Any = 0.0,
    *,
    gram: Tensor | None = None,
    guarded: Sequence[bool] | Tensor | None = None,
    names: Sequence[str] | None = None,
    moving: Tensor | None = None,
) -> Correction:
    """Decide the guard's weights from inner products, e.g. summed over processes.

    Args:
        own: (M, M) g_j'P g_k of the very gradients that are added.
        effects: (M,) g_j·u.
        length: |u|² = u'P⁻¹u.
        floor: As `guard_step`.
        gram: As `guard_step`; None: `own`.
        guarded: As `guard_step`.
        names: As `guard_step`.
        moving: (M,) g_j·u over the coordinates with P > 0, where others moved too; None: `effects`.

    Raises:
        CovlawError: as `guard_step`.
    """
    count = effects.shape[0]
    require_fitting(count, gram, names)
    kept = kept_objectives(guarded, count).to(own.device)
    flat = kept & ~(own.diagonal() > 0)
    notes = [
        f"{objective_name(names, int(j))} has no gradient here: it is not guarded"
        for j in flat.nonzero()[:, 0]
    ]
    least = floors_of(floor, effects)
    live = kept & ~flat
    weights = torch.zeros_like(effects)
    if bool(live.any()):
        used = own if gram is None else gram.to(effects)
        solved = least_change(used[live][:, live], effects[live], least[live])
        weights[live] = solved.weights
        if not bool(solved.feasible):
            missed = live.nonzero()[solved.shortfall > 0, 0]
            who = ", ".join(objective_name(names, int(j)) for j in missed)
            notes.append(f"no step meets every floor: lowered just enough for {who}")
    size = torch.as_tensor(length).to(effects)
    inner = effects if moving is None else moving
    # what coordinates with P = 0 lose is asked of the others
    asked = torch.where(live, least + (inner - effects), 0.0)
    return _bounded(own, inner, size, asked, weights, notes, exact=gram is None)


def _bounded(
    own: Tensor,
    inner: Tensor,
    length: Tensor,
    floor: Tensor,
    weights: Tensor,
    notes: list[str],
    *,
    exact: bool,
) -> Correction:
    """Cut the correction back, and shorten the step, until |u*| ≤ |u|.

    Effects `inner` and floors are those of the coordinates with P > 0, as |·| is.
    """
    one = torch.ones((), dtype=inner.dtype, device=inner.device)
    along, square = weights @ inner, weights @ own @ weights
    # what rounding explains of |u*|² − |u|²
    slack = 64 * len(inner) * 2.0**-53 * (length + along.abs() + square)
    if not bool(2 * along + square > slack):
        return Correction(weights, one, one, tuple(notes))
    carried = one
    if bool((floor <= 0).all()):
        # the exact projection never lengthens, so the Gramian does not describe the gradients
        carried = (-2 * along / square).clamp(0.0, 1.0)
    elif not exact:  # nor is the correction of floors ≤ 0 ever longer than the step
        carried = (length / square).sqrt().clamp(max=1.0)
    weights = weights * carried
    if bool(carried == 0):
        notes.append("the correction was refused: all of it would lengthen the step")
    elif bool(carried < 1):
        notes.append(f"only {carried.item():.3g} of the correction was applied: it is too long")
    longer = length + 2 * weights @ inner + weights @ own @ weights
    scale = one if bool(longer <= length) else (length / longer).sqrt()
    if bool(scale < 1 - 2.0**-40):
        notes.append(f"positive floors ask for a longer step: {scale.item():.3g} of it is taken")
    return Correction(weights, carried, scale, tuple(notes))


def kept_objectives(guarded: Sequence[bool] | Tensor | None, count: int) -> Tensor:
    """Which of `count` objectives are guarded: (count,) bool."""
    if guarded is None:
        return torch.ones(count, dtype=torch.bool)
    kept = torch.as_tensor(guarded, dtype=torch.bool)
    if kept.shape != (count,):
        raise CovlawError(
            f"guarded has shape {tuple(kept.shape)}: give one truth value an objective"
        )
    return kept


def floors_of(floor: Any, effects: Tensor) -> Tensor:
    """One floor an objective, (M,), where `effects` (M,) are and in their dtype.

    Raises:
        CovlawError: for what is no number, and as many as there are no objectives.
    """
    given = as_float64(floor, "floor")
    if given.ndim and given.shape != effects.shape:
        raise CovlawError(
            f"floor has shape {tuple(given.shape)} for {len(effects)} objectives: give one number, "
            "or one an objective"
        )
    return given.to(effects).expand_as(effects)


def require_fitting(count: int, gram: Tensor | None, names: Sequence[str] | None) -> None:
    """Refuse a Gramian and names of another number of objectives."""
    if gram is not None and gram.shape != (count, count):
        raise CovlawError(
            f"gram has shape {tuple(gram.shape)} for {count} objectives: give ({count}, {count})"
        )
    if names is not None and len(names) != count:
        raise CovlawError(f"{len(names)} names for {count} objectives: give one each")


def objective_name(names: Sequence[str] | None, j: int) -> str:
    """What messages call an objective."""
    return f"objective {j}" if names is None else repr(names[j])
