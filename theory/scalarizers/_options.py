"""Validation shared by the scalarizers' options."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def per_objective(
    values: float | Sequence[float] | None,
    objectives: Sequence[str],
    what: str,
    default: float,
    least: float = 0.0,
) -> Tensor:
    """Return one value an objective (M,) float64 from a scalar, a sequence or None.

    Raises:
        CovlawError: on the wrong number of values, or one that is not finite or below `least`.
    """
    count = len(objectives)
    values = default if values is None else values
    vector = [values] * count if isinstance(values, int | float) else list(values)
    if len(vector) != count:
        raise CovlawError(
            f"{what}: {len(vector)} values for {count} objectives {list(objectives)}: give one each"
        )
    limit = "" if math.isinf(least) else f" ≥ {least:g}"
    for name, value in zip(objectives, vector, strict=True):
        if not math.isfinite(value) or value < least:
            raise CovlawError(f"{what} of {name!r} is {value}: use a finite value{limit}")
    return torch.tensor(vector, dtype=torch.float64)


def shares(
    weights: float | Sequence[float] | None, objectives: Sequence[str], what: str = "weight"
) -> Tensor:
    """Return non-negative weights (M,) that sum to 1; None: equal.

    Raises:
        CovlawError: as `per_objective`, and where all are 0.
    """
    raw = per_objective(weights, objectives, what, 1.0)
    if not raw.sum() > 0:
        raise CovlawError("all weights are 0: give at least one objective a positive weight")
    scaled = raw / raw.max()  # so that neither the sum of huge nor of tiny weights is lost
    return scaled / scaled.sum()


def positive(value: float, what: str, upper: float = math.inf) -> float:
    """Return `value` if 0 < value ≤ upper, else say what to change."""
    if not 0 < value <= upper or math.isinf(value):
        limit = "" if math.isinf(upper) else f" and ≤ {upper:g}"
        raise CovlawError(f"{what} is {value}: use a finite value > 0{limit}")
    return float(value)


def not_negative(value: float, what: str) -> float:
    """Return `value` if it is finite and ≥ 0, else say what to change."""
    if not 0 <= value < math.inf:
        raise CovlawError(f"{what} is {value}: use a finite value ≥ 0")
    return float(value)


def choice(value: str, what: str, known: Sequence[str]) -> str:
    """Return `value` if it is one of the known names."""
    if value not in known:
        raise CovlawError(f"{what} is {value!r}: choose from {', '.join(known)}")
    return value
