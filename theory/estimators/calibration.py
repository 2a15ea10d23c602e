"""Calibration of forecasts: the line of what happened on what was forecast, both with errors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covlaw.theory._numerics.errors import CovlawError

Array = NDArray[np.float64]
ROUNDS = 500
"""Fixed-point rounds; a line that has not settled by then is NaN."""
SETTLED = 2.0**-40
"""Relative change of the slope below which it has."""
RESAMPLES = 1000
_QUANTILES = (0.025, 0.1587, 0.8413, 0.975)


class Line(NamedTuple):
    """Y = a + b·x; each field (...), one a resample."""

    slope: Array
    """b: 1 for calibrated forecasts, below 1 for forecasts that promise too much."""
    intercept: Array
    slope_error: Array
    """From the given standard errors alone."""
    scatter: Array
    """χ²/(n − 2): above 1 where points lie further apart than their errors explain."""


class Slope(NamedTuple):
    """A calibration slope; NaN where there are too few points."""

    value: float
    error: float
    """Half the central 68 % of the bootstrap: no outlying resample decides it."""
    low: float
    high: float
    """Percentile interval, 95 %."""
    intercept: float
    scatter: float
    points: int
    clusters: int


def line_with_errors(
    x: Array, y: Array, x_error: Array, y_error: Array, weight: ArrayLike | None = None
) -> Line:
    """Least-squares line with known errors in both coordinates.

    Minimises Σ (y − a − bx)²/(σ_y² + b²σ_x²) by the unified equations of York, Evensen, López
    Martínez & De Basabe Delgado (Am. J. Phys. 72(3), 2004), errors uncorrelated. The usual
    regression on noisy forecasts would be too flat.

    Args:
        x: (n,) forecasts.
        y: (n,) what happened.
        x_error: (n,) standard errors ≥ 0; with `y_error` not both 0.
        y_error: (n,).
        weight: (..., n) multiplicities, e.g. of resamples; None: 1 each.

    Raises:
        CovlawError: on shapes that do not fit, entries that are not finite, or points without any
            error.
    """
    x, y, x_error, y_error = _checked(x, y, x_error, y_error)
    count = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
    vx, vy = x_error**2, y_error**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = _first_slope(x, y, vx + vy, count)
        settled = np.zeros(slope.shape, dtype=bool)
        for _ in range(ROUNDS):
            following = _centred(slope, x, y, vx, vy, count).next_slope()
            settled = np.abs(following - slope) <= SETTLED * np.abs(following)
            slope = following
            if settled.all():
                break
        slope = np.where(settled, slope, np.nan)
        return _centred(slope, x, y, vx, vy, count).line(slope)


def calibration_slope(
    x: Array, y: Array, x_error: Array, y_error: Array, cluster: NDArray[np.int64], seed: int = 0
) -> Slope:
    """`line_with_errors` with a bootstrap over clusters of points, e.g. the objectives of an audit.

    Args:
        x: (n,) forecasts.
        y: (n,) what happened.
        x_error: (n,) standard errors.
        y_error: (n,).
        cluster: (n,) ids; points of one cluster are drawn together.
        seed: Of the resampling.
    """
    names, place = np.unique(cluster, return_inverse=True)
    if len(names) < 3:
        nan = float("nan")
        return Slope(nan, nan, nan, nan, nan, nan, len(x), len(names))
    found = line_with_errors(x, y, x_error, y_error)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    slopes = line_with_errors(x, y, x_error, y_error, drawn[:, place]).slope
    slopes = slopes[np.isfinite(slopes)]
    few = len(slopes) < RESAMPLES // 2  # then the points say nothing about a slope
    spread = [np.nan] * 4 if few else np.quantile(slopes, _QUANTILES)
    low, below, above, high = (float(q) for q in spread)
    return Slope(
        float(found.slope),
        (above - below) / 2,
        low,
        high,
        float(found.intercept),
        float(found.scatter),
        len(x),
        len(names),
    )


class _Centred(NamedTuple):
    """York's intermediate quantities at one slope."""

    weight: Array
    """W times multiplicity."""
    u: Array
    v: Array
    beta: Array
    x_mean: Array
    y_mean: Array
    slope: Array
    copies: Array

    def next_slope(self) -> Array:
        """Σ Wβv/Σ Wβu."""
        across: Array = (self.weight * self.beta * self.v).sum(-1)
        along: Array = (self.weight * self.beta * self.u).sum(-1)
        return across / along

    def line(self, slope: Array) -> Line:
        """The line at a slope that has settled."""
        total = self.weight.sum(-1)
        adjusted = self.beta - ((self.weight * self.beta).sum(-1) / total)[..., None]
        error = (self.weight * adjusted**2).sum(-1) ** -0.5
        misfit = (self.weight * (self.v - slope[..., None] * self.u) ** 2).sum(-1)
        freedom = self.copies.sum(-1) - 2
        scatter = np.where(freedom > 0, misfit / np.where(freedom > 0, freedom, 1), np.nan)
        return Line(slope, self.y_mean - slope * self.x_mean, error, scatter)


def _centred(slope: Array, x: Array, y: Array, vx: Array, vy: Array, count: Array) -> _Centred:
    b = slope[..., None]
    own = 1 / (vy + b**2 * vx)
    weight = count * own
    total = weight.sum(-1)
    x_mean, y_mean = (weight * x).sum(-1) / total, (weight * y).sum(-1) / total
    u, v = x - x_mean[..., None], y - y_mean[..., None]
    return _Centred(weight, u, v, own * (u * vy + b * v * vx), x_mean, y_mean, slope, count)


def _first_slope(x: Array, y: Array, variance: Array, count: Array) -> Array:
    weight = count / variance
    total = weight.sum(-1, keepdims=True)
    u = x - (weight * x).sum(-1, keepdims=True) / total
    slope: Array = (weight * u * y).sum(-1) / (weight * u * u).sum(-1)
    return slope


def _checked(*columns: Array) -> list[Array]:
    found = [np.asarray(c, dtype=np.float64) for c in columns]
    if any(c.ndim != 1 or c.shape != found[0].shape for c in found):
        shapes = ", ".join(str(c.shape) for c in found)
        raise CovlawError(f"points of shapes {shapes}: give (n,) four times")
    if not all(np.isfinite(c).all() for c in found):
        raise CovlawError("points or errors are not finite: leave out what was not measured")
    if ((found[2] <= 0) & (found[3] <= 0)).any():
        raise CovlawError("a point has no error in either coordinate: leave it out or give one")
    return found
