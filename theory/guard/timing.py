"""When to pay for the guard: always, every n steps, or when a fall is forecast (T10's f4)."""

from typing import Any

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.floors import critical


def due(when: str, step: int) -> bool:
    """Whether a step is guarded whatever its forecast: "always", "needed" (never), or "every n".

    Raises:
        CovlawError: on another word, and n below 1.
    """
    if when in ("always", "needed"):
        return when == "always"
    word, _, number = when.partition(" ")
    if word != "every" or not number.isdecimal() or int(number) < 1:
        raise CovlawError(f"guard when {when!r}: choose always, needed, or 'every n' with n ≥ 1")
    return step % int(number) == 0


def needed(
    effects: Any,
    floor: Any = 0.0,
    standard_error: Any = None,
    prompts: int | None = None,
    level: float = 0.95,
) -> Tensor:
    """Which objectives the step is about to take below their floors: (M,) bool.

    The forecast is Cov(r_j, ⟨∇log π, u⟩), one forward-mode pass along the finished step for all
    objectives. With standard errors a fall must be certain at `level`; without, any forecast below
    the floor counts.

    Args:
        effects: (M,) forecasts.
        floor: b_j, a number or (M,).
        standard_error: (M,) clustered by prompt, or None where the forecast is exact.
        prompts: Observed prompts; needed with standard errors.
        level: In (0.5, 1).

    Raises:
        CovlawError: on forecasts that are not finite, and as `certified_floor`.
    """
    forecast = as_float64(effects, "effects")
    if not bool(torch.isfinite(forecast).all()):
        raise CovlawError(f"forecast effects {forecast.tolist()} are not finite")
    least = as_float64(floor, "floor")
    if standard_error is None:
        return forecast < least
    error = as_float64(standard_error, "standard_error")
    return forecast + critical(prompts or 0, len(forecast), level) * error < least
