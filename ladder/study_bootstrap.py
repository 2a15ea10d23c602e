"""Bootstrap intervals of means, resampling whole worlds: runs in one world are not independent."""

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
    """Worlds."""


def cluster_means(values: Array, clusters: list[str]) -> Array:
    """Mean of the values of each cluster, in order of first appearance; NaNs are left out."""
    index = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    place = np.array([index[name] for name in clusters], dtype=np.int64)
    known = np.isfinite(values)
    total = np.bincount(place[known], values[known], minlength=len(index))
    count = np.bincount(place[known], minlength=len(index))
    return np.asarray(total[count > 0] / count[count > 0])


def bootstrap(values: Array, clusters: list[str], seed: int) -> Interval:
    """Percentile interval (Efron & Tibshirani 1993) of the mean of the clusters' means.

    Args:
        values: (n,) one a run; NaN where it has none.
        clusters: (n,) the world that each run was made in.
        seed: Of the resampling.
    """
    means = cluster_means(values, clusters)
    if not len(means):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    drawn = means[rng.integers(len(means), size=(RESAMPLES, len(means)))].mean(1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(means.mean()), float(low), float(high), len(means))
