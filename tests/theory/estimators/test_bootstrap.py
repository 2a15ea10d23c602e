"""Bootstrap intervals: what they cover, what they resample, and SciPy's answer."""

from inspect import signature

import numpy as np
import pytest
from scipy import stats

from covlaw.theory.estimators.bootstrap import (
    RESAMPLES,
    Array,
    Interval,
    bootstrap_mean,
    cluster_means,
)


def bootstrap(values: Array, clusters: list[str], seed: int) -> Interval:
    return bootstrap_mean(cluster_means(values, clusters), seed)


def test_the_mean_of_clusters_in_order_without_missing_values() -> None:
    values = np.array([1.0, 2.0, np.nan, 5.0, np.nan])
    assert cluster_means(values, ["b", "a", "a", "b", "c"]).tolist() == [3.0, 2.0]


def test_it_agrees_with_scipy_within_monte_carlo_error() -> None:
    values = np.random.default_rng(0).exponential(size=60)
    found = bootstrap(values, [str(k) for k in range(60)], seed=1)
    seed = (
        "rng" if "rng" in signature(stats.bootstrap).parameters else "random_state"
    )  # before 1.15
    settings = {"n_resamples": RESAMPLES, "method": "percentile", seed: np.random.default_rng(2)}
    theirs = stats.bootstrap((values,), np.mean, **settings).confidence_interval
    spread = values.std() / 60**0.5
    # a resampled 2.5 % quantile has standard error √(p(1−p)/B)/φ(1.96) standard deviations
    error = (0.025 * 0.975 / RESAMPLES) ** 0.5 / stats.norm.pdf(1.96) * spread
    assert abs(found.low - theirs.low) < 4 * 2**0.5 * error
    assert abs(found.high - theirs.high) < 4 * 2**0.5 * error
    assert found.mean == pytest.approx(values.mean())


def test_repeating_runs_in_a_world_adds_no_certainty() -> None:
    """The twin, resampling runs as if they were independent, would halve the interval."""
    values = np.random.default_rng(0).normal(size=30)
    worlds = [str(k) for k in range(30)]
    once = bootstrap(values, worlds, seed=0)
    often = bootstrap(np.tile(values, 4), worlds * 4, seed=0)
    wrong = bootstrap(np.tile(values, 4), [str(k) for k in range(120)], seed=0)
    assert often == pytest.approx(once)
    assert wrong.high - wrong.low < 0.6 * (once.high - once.low)


def test_no_spread_and_no_values() -> None:
    assert bootstrap(np.ones(5), list("abcde"), 0)[:3] == (1.0, 1.0, 1.0)
    assert bootstrap(np.array([]), [], 0).n == 0


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    worlds, trials = [str(k) for k in range(40)], 300
    drawn = [bootstrap(rng.normal(size=40), worlds, seed=k) for k in range(trials)]
    covered = sum(interval.low <= 0 <= interval.high for interval in drawn)
    # percentile intervals of n normals are too narrow by √((n−1)/n)·z/t: 93.9 % at n = 40
    expected = 1 - 2 * stats.t.sf(1.959964 * (39 / 40) ** 0.5, 39)
    assert abs(covered / trials - expected) < 4 * (expected * (1 - expected) / trials) ** 0.5
