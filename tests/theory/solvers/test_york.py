"""York's line, each point with its own errors: published data, and another minimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.solvers.york import BLOCK, line_with_errors

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


def test_points_that_cannot_be_used_are_refused() -> None:
    one = np.ones(4)
    with pytest.raises(CovlawError, match="no error in either"):
        line_with_errors(one, one, 0 * one, 0 * one)
    with pytest.raises(CovlawError, match="not finite"):
        line_with_errors(one, one * np.nan, one, one)
    with pytest.raises(CovlawError, match="shapes"):
        line_with_errors(one, one[:3], one, one)
