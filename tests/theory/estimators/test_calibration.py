"""A line through points with errors in both coordinates: published data, and another minimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.calibration import (
    BLOCK,
    RESAMPLES,
    calibration_slope,
    line_with_errors,
)
from covlaw.theory.estimators.error_correlation import prompt_correlation

# Pearson's data with York's weights (York 1966): the standard example of this problem
X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
X_WEIGHT = np.array([1000.0, 1000.0, 500.0, 800.0, 200.0, 80.0, 60.0, 20.0, 1.8, 1.0])
Y_WEIGHT = np.array([1.0, 1.8, 4.0, 8.0, 20.0, 20.0, 70.0, 70.0, 100.0, 500.0])


def test_it_gives_the_published_line() -> None:
    """York et al. 2004, table II: printed with nine digits."""
    found = line_with_errors(X, Y, X_WEIGHT**-0.5, Y_WEIGHT**-0.5)
    assert float(found.slope) == pytest.approx(-0.480533407, abs=5e-10)
    assert float(found.intercept) == pytest.approx(5.47991022, abs=5e-9)
    assert float(found.slope_error) == pytest.approx(0.0579850090, abs=5e-10)


def test_it_minimises_the_weighted_distance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    y += 2 * x
    sx, sy = rng.uniform(0.1, 1.0, size=(2, 30))

    def misfit(line: np.ndarray) -> float:
        return float(((y - line[0] - line[1] * x) ** 2 / (sy**2 + line[1] ** 2 * sx**2)).sum())

    found = line_with_errors(x, y, sx, sy)
    own = misfit(np.array([float(found.intercept), float(found.slope)]))
    best = minimize(misfit, [0.0, 1.0], method="Nelder-Mead", options={"fatol": 1e-10})
    assert own <= best.fun + 1e-10  # the other minimiser's own tolerance
    assert float(found.scatter) == pytest.approx(own / 28, rel=1e-12)


def test_correlated_errors_enter_the_distance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    y += 2 * x
    sx, sy = rng.uniform(0.1, 1.0, size=(2, 30))
    r = rng.uniform(-0.8, 0.8, size=30)

    def misfit(line: np.ndarray) -> float:
        variance = sy**2 + line[1] ** 2 * sx**2 - 2 * line[1] * r * sx * sy
        return float(((y - line[0] - line[1] * x) ** 2 / variance).sum())

    found = line_with_errors(x, y, sx, sy, correlation=r)
    own = misfit(np.array([float(found.intercept), float(found.slope)]))
    best = minimize(misfit, [0.0, 2.0], method="Nelder-Mead", options={"fatol": 1e-10})
    # York's equations hold the weights at the slope reached: stationary to first order in r
    without = line_with_errors(x, y, sx, sy)
    assert own <= best.fun * (1 + 1e-9)
    assert misfit(np.array([float(without.intercept), float(without.slope)])) > own
    with pytest.raises(CovlawError, match="correlation"):
        line_with_errors(x, y, sx, sy, correlation=1.0)


def test_shared_prompts_steepen_a_line_unless_their_correlation_is_known() -> None:
    """Spread between prompts in both errors; slope 1 in truth, steeper without the correlation."""
    rng = np.random.default_rng(1)
    slopes = []
    for _ in range(60):
        theta, shared = 0.02 * rng.normal(size=(150, 1)), 0.05 * rng.normal(size=(150, 32))
        first, second = (
            theta + shared + noise * rng.normal(size=(150, 32)) for noise in (0.02, 0.05)
        )
        x, y = first.mean(1), second.mean(1)
        errors = [v.std(1, ddof=1) / 32**0.5 for v in (first, second)]
        r = prompt_correlation(torch.tensor(first.T), torch.tensor(second.T)).mean().item()
        lines = (line_with_errors(x, y, *errors, correlation=c) for c in (0.0, r))
        slopes.append([float(line.slope) for line in lines])
    (plain, known), spread = np.mean(slopes, axis=0), np.std(slopes, axis=0) / 60**0.5
    assert plain - 1 > 4 * spread[0]
    assert abs(known - 1) < 4 * spread[1]


def test_the_correlation_is_that_of_the_prompts_values() -> None:
    first, second = np.random.default_rng(2).normal(size=(2, 7, 2))
    found = prompt_correlation(torch.tensor(first), torch.tensor(second)).tolist()
    assert found == pytest.approx([np.corrcoef(first[:, j], second[:, j])[0, 1] for j in (0, 1)])
    assert prompt_correlation(torch.zeros(3, 1), torch.ones(3, 1)).tolist() == [0.0]
    with pytest.raises(CovlawError, match="same"):
        prompt_correlation(torch.zeros(3, 1), torch.zeros(4, 1))


def test_multiplicities_are_repeated_points() -> None:
    count = np.array([0, 2, 1, 3, 1, 1, 0, 2, 1, 1])
    again = np.repeat(np.arange(10), count)
    weighted = line_with_errors(X, Y, X_WEIGHT**-0.5, Y_WEIGHT**-0.5, count)
    repeated = line_with_errors(*(c[again] for c in (X, Y, X_WEIGHT**-0.5, Y_WEIGHT**-0.5)))
    # the fixed point is settled to 2^-40
    assert float(weighted.slope) == pytest.approx(float(repeated.slope), rel=2.0**-38)


def test_a_line_does_not_depend_on_the_resamples_beside_it() -> None:
    """Some settle at once, some after hundreds of rounds, one never: only two points are left."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 40))
    errors = rng.uniform(0.5, 2.0, size=(2, 40))
    counts = np.stack([*rng.multinomial(40, np.full(40, 1 / 40), size=600), 40 * (x == x[0])])
    assert len(counts) * 40 > BLOCK  # more than one block
    together = line_with_errors(x, y, *errors, counts).slope
    alone = np.array([float(line_with_errors(x, y, *errors, count).slope) for count in counts])
    assert np.isnan(together[-1])
    assert np.isfinite(together).sum() > 500
    # both stop once a step is below 2^-40 of the slope, and steps at least halve by then
    np.testing.assert_allclose(together, alone, rtol=2.0**-38)


def test_it_is_not_flattened_by_noisy_forecasts_as_regression_is() -> None:
    """True slope 1, forecasts with as much error as spread: regression gives 1/2."""
    rng = np.random.default_rng(1)
    n = 4000
    true = rng.normal(size=n)
    x, y, error = true + rng.normal(size=n), true + rng.normal(size=n), np.ones(n)
    found = calibration_slope(x, y, error, error, np.arange(n) // 2)
    assert abs(found.value - 1) < 4 * found.error
    assert found.error < 0.05
    assert abs(np.polyfit(x, y, 1)[0] - 0.5) < 0.05
    assert found.low < found.value < found.high
    assert found.clusters == n // 2


def test_the_bootstrap_agrees_with_the_given_errors_where_points_are_independent() -> None:
    rng = np.random.default_rng(2)
    n = 400
    true = rng.normal(size=n)
    error = np.full(n, 0.3)
    x, y = (true + 0.3 * rng.normal(size=n) for _ in range(2))
    found = calibration_slope(x, y, error, error, np.arange(n))
    analytic = float(line_with_errors(x, y, error, error).slope_error)
    # a bootstrap quantile span over RESAMPLES, and an error known to 1/√(2n) itself
    assert abs(found.error / analytic - 1) < 4 * (2 / RESAMPLES + 0.5 / n) ** 0.5


def test_errors_that_are_counts_flatten_a_line_unless_they_are_alike() -> None:
    """Pairs that differ are counted: a change of n/N has error √n/N, small where n is; slope 1."""
    rng = np.random.default_rng(5)
    slopes = []
    for _ in range(80):
        n = 150
        mean, sign = 400 * rng.uniform(0.01, 0.04, n), rng.choice([-1.0, 1.0], n)
        first, second = rng.poisson(mean, (2, n))
        x, y = sign * first / 400, sign * second / 400
        errors = [np.sqrt(np.maximum(c, 0.25)) / 400 for c in (first, second)]
        truth = sign * mean / 400
        alike = calibration_slope(truth, y, 0 * errors[0], errors[1], np.arange(n)).value
        both = calibration_slope(x, y, *errors, np.arange(n)).value
        given = float(line_with_errors(truth, y, 0 * errors[0], errors[1]).slope)
        slopes.append([given, alike, both])
    mean, spread = np.mean(slopes, axis=0), np.std(slopes, axis=0) / 80**0.5
    assert 1 - mean[0] > 4 * spread[0]
    assert abs(mean[1] - 1) < 4 * spread[1]
    assert abs(mean[2] - 1) < 4 * spread[2]


def test_points_in_which_nothing_varied_count() -> None:
    rng = np.random.default_rng(6)
    truth, n = rng.normal(size=60), 60
    x, y = truth + 0.3 * rng.normal(size=n), truth + 0.3 * rng.normal(size=n)
    error = np.where(np.arange(n) < 20, 0.0, 0.3)
    alike = np.full(n, float(np.mean(error**2)) ** 0.5)
    found = calibration_slope(x, y, error, error, np.arange(n))
    assert found.points == n
    assert found.value == float(line_with_errors(x, y, alike, alike).slope)
    nothing = np.zeros(n)
    assert np.isnan(calibration_slope(x, y, nothing, nothing, np.arange(n)).value)


def test_points_that_cannot_be_used_are_refused() -> None:
    one = np.ones(4)
    with pytest.raises(CovlawError, match="no error in either"):
        line_with_errors(one, one, 0 * one, 0 * one)
    with pytest.raises(CovlawError, match="not finite"):
        line_with_errors(one, one * np.nan, one, one)
    with pytest.raises(CovlawError, match="shapes"):
        line_with_errors(one, one[:3], one, one)
    assert np.isnan(calibration_slope(one, one, one, one, np.arange(4) // 2).value)
