"""Step control: judge a guarded step on other completions, and pay for its curvature (T60)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.step import Guarded

MARGIN = 1.05
"""How much more than the curvature seen is asked: the step that pays bends a little otherwise."""


class Judged(NamedTuple):
    """What a step really does, on completions that had no part in choosing it."""

    change: Tensor
    """(M,) e.g. `exact_change(...).estimate`."""
    standard_error: Tensor
    """(M,) clustered by prompt; 0 where the change is exact."""


Judge = Callable[[Tensor], Judged]
"""Step (D,) → its measured change: new policy θ_old + step on π_old's other completions (T8)."""


class Controlled(NamedTuple):
    """The step that passed, or the last that was tried."""

    step: Tensor
    """(D,)."""
    guarded: Guarded
    """Before it was shortened."""
    factor: float
    """Share of the guarded step that is taken."""
    judged: Judged
    """Of `step`."""
    passed: bool
    """Whether no guarded objective is seen to fall below its floor."""
    rounds: int
    """How often the step was judged."""


def falls(judged: Judged, floor: Any = 0.0, critical: float = 0.0) -> Tensor:
    """Whether each change lies below min(floor, 0), by more than `critical` standard errors: (M,).

    A positive floor asks; only a fall is a fault.
    """
    least = torch.as_tensor(floor, dtype=torch.float64).to(judged.change).clamp(max=0.0)
    return judged.change + critical * judged.standard_error < least


def halved(
    guarded: Guarded, judge: Judge, floor: Any = 0.0, critical: float = 0.0, halvings: int = 6
) -> Controlled:
    """Halve the step until no objective is seen to fall (T60).

    A first-order effect that is not negative shrinks as t, what curvature takes as t². It wastes:
    every objective pays for the one that bends most; `curvature_floors` asks it alone.

    Args:
        guarded: From `guard_step`.
        judge: Measures a step on other completions.
        floor: As given to `guard_step`.
        critical: Standard errors by which a fall must be certain; 0 where changes are exact.
        halvings: At most.

    Raises:
        CovlawError: if the judge's change is not finite.
    """
    for k in range(halvings + 1):
        factor = 0.5**k
        step = factor * guarded.step if k else guarded.step
        judged = _finite(judge(step))
        if not bool(falls(judged, floor, critical).any()):
            return Controlled(step, guarded, factor, judged, True, k + 1)
    return Controlled(step, guarded, factor, judged, False, halvings + 1)


def curvature_floors(
    solve: Callable[[Tensor], Guarded],
    judge: Judge,
    floor: Any = 0.0,
    critical: float = 0.0,
    rounds: int = 4,
    halvings: int = 6,
) -> Controlled:
    """Raise the floors of those that fell by what curvature took from them, then solve again (T60).

    L_j = 2(g_j·u* − Δ_j)/|u*|² is the secant curvature along the step, and b_j = L_j|u*|²/2 =
    g_j·u* − Δ_j the floor that pays for it. What still falls after `rounds` is halved.

    Args:
        solve: Floors (M,) → guarded step: `guard_step` with the rest fixed.
        judge: Measures a step on other completions.
        floor: Floors to begin with.
        critical: As `halved`.
        rounds: Solutions at most.
        halvings: As `halved`.

    Raises:
        CovlawError: as `halved`.
    """
    guarded = solve(torch.as_tensor(floor, dtype=torch.float64))
    floors = (
        torch.as_tensor(floor, dtype=torch.float64).to(guarded.effects).expand_as(guarded.effects)
    )
    for k in range(rounds):
        judged = _finite(judge(guarded.step))
        fell = falls(judged, floor, critical)
        if not bool(fell.any()):
            return Controlled(guarded.step, guarded, 1.0, judged, True, k + 1)
        if k + 1 < rounds:
            bend = MARGIN * (guarded.effects - judged.change).clamp(min=0.0)
            floors = torch.where(fell, torch.maximum(floors, bend), floors)
            guarded = solve(floors)
    last = halved(guarded, judge, floor, critical, halvings)
    return last._replace(rounds=last.rounds + rounds)


def _finite(judged: Judged) -> Judged:
    if not bool(torch.isfinite(judged.change).all()):
        raise CovlawError(
            "the measured change is not finite: the new policy's log-probs are broken"
        )
    return judged
