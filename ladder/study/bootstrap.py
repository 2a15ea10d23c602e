"""Bootstrap intervals of means, resampling whole worlds: runs in one world are not independent."""

import numpy as np

from covlaw.theory.estimators.bootstrap import Array, Interval, bootstrap_mean


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
    return bootstrap_mean(cluster_means(values, clusters), seed)
