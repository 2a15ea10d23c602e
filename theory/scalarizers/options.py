"""Validation shared by the scalarizers' options."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError


def per_objective(
    values: float | Sequence[float] | None, objectives: Sequence[str], what: str, default: float
) -> Tensor:
    """Return one value an objective (M,) float64 from a scalar, a sequence or None.

    Raises:
        CovlawError: on the wrong number of values, or a negative or non-finite one.
    """
    count = len(objectives)
    values = default if values is None else values
    vector = [values] * count if isinstance(values, int | float) else list(values)
    if len(vector) != count:
        raise CovlawError(
            f"{what}: {len(vector)} values for {count} objectives {list(objectives)}: give one each"
        )
    for name, value in zip(objectives, vector, strict=True):
        if not math.isfinite(value) or value < 0:
            raise CovlawError(f"{what} of {name!r} is {value}: use a finite value ≥ 0")
    return torch.tensor(vector, dtype=torch.float64)


def positive(value: float, what: str, upper: float = math.inf) -> float:
    """Return `value` if 0 < value ≤ upper, else say what to change."""
    if not 0 < value <= upper or math.isinf(value):
        limit = "" if math.isinf(upper) else f" and ≤ {upper:g}"
        raise CovlawError(f"{what} is {value}: use a finite value > 0{limit}")
    return float(value)
