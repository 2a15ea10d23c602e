"""Percentile bootstrap intervals of a mean over units that are drawn independently."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean with its interval; NaN where there is nothing."""

    mean: float
    low: float
    high: float
    n: int
    """Units resampled."""


def bootstrap_mean(values: Array, seed: int) -> Interval:
    """Percentile interval (Efron & Tibshirani 1993, section 13.3) of a mean, at `LEVEL`.

    Units are resampled whole: give one value a unit, such as a prompt's mean over its completions.
    For a comparison give the differences of paired units: what the pairs share cancels.

    Args:
        values: (n,) one a unit.
        seed: Of the resampling.
    """
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high), len(values))
