"""The bootstrap: percentile intervals over units, or clusters of them, drawn independently."""

from collections.abc import Sequence
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

    Units are resampled whole: give one value a unit, such as a prompt's mean over its completions
    (`cluster_means`). For a comparison give the differences of paired units: what the pairs share
    cancels.

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


def cluster_means(values: Array, clusters: Sequence[str]) -> Array:
    """Mean of the values of each cluster, in order of first appearance; NaNs are left out.

    Args:
        values: (n,) NaN where there is none.
        clusters: (n,) what each was measured in; values of one cluster are not independent.
    """
    index = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    place = np.array([index[name] for name in clusters], dtype=np.int64)
    known = np.isfinite(values)
    total = np.bincount(place[known], values[known], minlength=len(index))
    count = np.bincount(place[known], minlength=len(index))
    return np.asarray(total[count > 0] / count[count > 0])
