"""A line of alike errors in both coordinates, and its interval."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize_scalar

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.calibration import calibration_slope
from covlaw.theory.estimators.error_correlation import prompt_correlation
from covlaw.theory.solvers.york import line_with_errors


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


def test_the_jackknife_agrees_with_the_given_errors_where_points_are_independent() -> None:
    rng = np.random.default_rng(2)
    n = 400
    true = rng.normal(size=n)
    error = np.full(n, 0.3)
    x, y = (true + 0.3 * rng.normal(size=n) for _ in range(2))
    found = calibration_slope(x, y, error, error, np.arange(n))
    analytic = float(line_with_errors(x, y, error, error).slope_error)
    # both are known to about 1/√(2n) themselves
    assert abs(found.error / analytic - 1) < 4 * (1 / n) ** 0.5
    margin = stats.t.ppf(0.975, n - 1) * found.error
    assert (found.low, found.high) == pytest.approx((found.value - margin, found.value + margin))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("sx", "sy", "r"), [(0.3, 0.2, 0.0), (0.4, 0.1, -0.7), (0.1, 0.5, 0.9)])
def test_the_slope_is_the_least_of_the_distance(
    sign: float, sx: float, sy: float, r: float
) -> None:
    """In angles, among all of which one is best; the other root of the quadratic is the worst."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=30)
    y = sign * 1.5 * x + rng.normal(size=30) + 7
    x += 3

    def distance(angle: float) -> float:
        b = np.tan(angle)
        u, v = x - x.mean(), y - y.mean()
        return float(((v - b * u) ** 2).sum() / (sy**2 - 2 * b * r * sx * sy + b**2 * sx**2))

    grid = np.linspace(-np.pi / 2, np.pi / 2, 2001)[1:-1]
    start = grid[np.argmin([distance(a) for a in grid])]
    near = (start - 0.01, start + 0.01)
    best = minimize_scalar(distance, bounds=near, method="bounded", options={"xatol": 1e-12})
    ones = np.ones(30)
    found = calibration_slope(x, y, sx * ones, sy * ones, np.arange(30), correlation=r)
    # a minimiser knows its place to the root of the rounding of values near the least one
    assert found.value == pytest.approx(np.tan(best.x), rel=1e-6)
    assert found.scatter == pytest.approx(best.fun / 28, rel=1e-9)
    assert found.intercept == pytest.approx(y.mean() - found.value * x.mean(), rel=1e-12)
    york = line_with_errors(x, y, sx * ones, sy * ones, correlation=r)
    assert found.value == pytest.approx(float(york.slope), rel=2.0**-36)


def test_leaving_out_is_done_cluster_by_cluster_with_its_errors() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=12)
    y, cluster = x + 0.2 * rng.normal(size=12), np.arange(12) // 3
    errors = rng.uniform(0.1, 0.3, size=(2, 12))
    found = calibration_slope(x, y, *errors, cluster)
    left = []
    for k in range(4):
        kept = cluster != k
        sx, sy = (np.full(9, float(np.mean(e[kept] ** 2)) ** 0.5) for e in errors)
        left.append(float(line_with_errors(x[kept], y[kept], sx, sy).slope))
    spread = np.array(left) - np.mean(left)
    assert found.error == pytest.approx((3 / 4 * (spread**2).sum()) ** 0.5, rel=1e-9)
    assert found.clusters == 4


def test_a_forecast_that_never_varies_has_no_slope() -> None:
    y, ones = np.arange(6.0), np.ones(6)
    flat = calibration_slope(ones, y, ones, ones, np.arange(6))
    assert np.isnan(flat.value)
    assert np.isnan(flat.low)
    level = calibration_slope(y, ones, ones, ones, np.arange(6))
    assert (level.value, level.low, level.high) == (0.0, 0.0, 0.0)


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
    assert found.value == pytest.approx(float(line_with_errors(x, y, alike, alike).slope), rel=1e-9)
    nothing = np.zeros(n)
    assert np.isnan(calibration_slope(x, y, nothing, nothing, np.arange(n)).value)


def test_points_that_cannot_be_used_are_refused() -> None:
    one = np.ones(4)
    with pytest.raises(CovlawError, match="not finite"):
        calibration_slope(one, one * np.nan, one, one, np.arange(4))
    with pytest.raises(CovlawError, match="shapes"):
        calibration_slope(one, one[:3], one, one, np.arange(4))
    assert np.isnan(calibration_slope(one, one, one, one, np.arange(4) // 2).value)
    none = np.zeros(0)
    assert calibration_slope(none, none, none, none, np.arange(0)).clusters == 0
