"""Calibration of forecasts: the line of what happened on what was forecast, both with errors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from covlaw.theory._numerics.errors import CovlawError

Array = NDArray[np.float64]
MOST_SHARED = 0.99
"""Correlation of errors that is used at most: at 1 a point could fix the line alone."""
FEWEST = 3
"""Clusters below which nothing is said."""
LEVEL = 0.95
_MOMENTS = 9


class Slope(NamedTuple):
    """A calibration slope; NaN where there are too few points."""

    value: float
    """b of y = a + bx: 1 for calibrated forecasts, below 1 for those that promise too much."""
    error: float
    """Standard error, by the jackknife over clusters."""
    low: float
    high: float
    """Of the 95 % interval: Student's t, clusters − 1 degrees."""
    intercept: float
    scatter: float
    """χ²/(n − 2): above 1 where points lie further apart than their errors explain."""
    points: int
    clusters: int


def calibration_slope(
    x: Array,
    y: Array,
    x_error: Array,
    y_error: Array,
    cluster: NDArray[np.int64],
    correlation: ArrayLike = 0.0,
) -> Slope:
    """A line through points of alike errors (Deming's), with a jackknife over clusters of points.

    Minimises Σ (y − a − bx)²/(v_y − 2b v_xy + b² v_x): with the centred sums of squares S, b is the
    root of

        (S_xy v_x − S_xx v_xy) b² + (S_xx v_y − S_yy v_x) b + (S_yy v_xy − S_xy v_y) = 0

    at which the left side rises. v_x, v_y and v_xy are the points' mean variances and covariance.

    An error estimated from the sample that gave the estimate is small where the estimate happens to
    be: few completions that differ mean a small change *and* a small error. As weights 1/σ² (York's
    line, `solvers.york`) such errors prefer the small outcomes, and flatten the line. So
    all points get the same ones, which is consistent for unequal errors too. A point whose own
    errors are 0 counts as any other: to leave out what happened not to differ would be the same
    selection.

    The interval leaves out one cluster after the other, its errors with it. In simulations
    (docs/limits.md) it covers nearer to 95 % than the percentiles of a bootstrap over clusters do,
    which are too narrow.

    Args:
        x: (n,) forecasts.
        y: (n,) what happened.
        x_error: (n,) standard errors ≥ 0.
        y_error: (n,).
        cluster: (n,) ids; points of one, e.g. the objectives of an audit, are left out together.
        correlation: (n,) or one number: of a point's two errors. They are correlated where both
            sides were seen on the same prompts; left out, the slope comes out too steep.

    Returns:
        NaN where there are fewer than three clusters, no error at all, or no slope; NaN for error
        and interval where leaving out some cluster leaves no slope.

    Raises:
        CovlawError: on shapes that do not fit, or entries that are not finite.
    """
    moments, clusters = _cluster_moments(x, y, x_error, y_error, cluster, correlation)
    total = moments.sum(0)
    slope = float(_slopes(total)) if clusters >= FEWEST else np.nan
    if not np.isfinite(slope):
        nan = float("nan")
        return Slope(nan, nan, nan, nan, nan, nan, len(x), clusters)
    error = jackknife_error(_slopes(total - moments))
    margin = jackknife_margin(error, clusters)
    intercept = float(np.mean(y) - slope * np.mean(x))
    ends = (slope - margin, slope + margin)
    return Slope(slope, error, *ends, intercept, _scatter(total, slope), len(x), clusters)


def jackknife_error(without: Array) -> float:
    """Standard error from the statistic without each cluster in turn, (C,): Tukey's jackknife.

    √((C − 1) · mean (θ_(i) − θ̄)²), Efron & Tibshirani 1993, equation 11.5.
    """
    return float(np.sqrt((len(without) - 1) * np.mean((without - without.mean()) ** 2)))


def jackknife_margin(error: float, clusters: int) -> float:
    """Half of the 95 % interval: Student's t of C − 1 degrees times the jackknife error."""
    return float(stdtrit(clusters - 1, (1 + LEVEL) / 2)) * error


def _cluster_moments(
    x: Array,
    y: Array,
    x_error: Array,
    y_error: Array,
    cluster: NDArray[np.int64],
    correlation: ArrayLike,
) -> tuple[Array, int]:
    """Sums of 1, x, y, x², xy, y², σ_x², σ_y², rσ_xσ_y over each cluster (C, 9), and C.

    x and y are taken from their means, so that differences of sums keep their digits.
    """
    shared = np.broadcast_to(np.asarray(correlation, dtype=np.float64), np.shape(x))
    columns = [np.asarray(c, dtype=np.float64) for c in (x, y, x_error, y_error, shared, cluster)]
    if any(c.ndim != 1 or c.shape != columns[0].shape for c in columns):
        shapes = ", ".join(str(c.shape) for c in columns)
        raise CovlawError(f"points of shapes {shapes}: give (n,) for each")
    if not all(np.isfinite(c).all() for c in columns):
        raise CovlawError("points or errors are not finite: leave out what was not measured")
    u, v, su, sv, r, _ = columns
    u, v = (c - (c.mean() if len(c) else 0) for c in (u, v))
    rows = np.stack([np.ones_like(u), u, v, u**2, u * v, v**2, su**2, sv**2, r * su * sv], 1)
    names, place = np.unique(cluster, return_inverse=True)
    moments = np.zeros((len(names), _MOMENTS))
    np.add.at(moments, place, rows)
    return moments, len(names)


def _slopes(moments: Array) -> Array:
    """Deming's slopes from sums (..., 9); NaN where there is none."""
    sxx, sxy, syy, vx, vy, vxy = _centred(moments)
    square, linear, constant = sxy * vx - sxx * vxy, sxx * vy - syy * vx, syy * vxy - sxy * vy
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        # the same root twice, each without cancellation
        rising = (root - linear) / (2 * square)
        found = np.where(linear < 0, rising, -2 * constant / (linear + root))
    return np.where(np.isfinite(found), found, np.nan)


def _centred(moments: Array) -> tuple[Array, ...]:
    """Centred sums of squares xx, xy, yy, and mean variances and covariance of the errors."""
    n, x, y, xx, xy, yy, *errors = np.moveaxis(moments, -1, 0)
    vx, vy, vxy = (e / n for e in errors)
    most = MOST_SHARED * np.sqrt(vx * vy)
    return xx - x * x / n, xy - x * y / n, yy - y * y / n, vx, vy, np.clip(vxy, -most, most)


def _scatter(moments: Array, slope: float) -> float:
    sxx, sxy, syy, vx, vy, vxy = (float(part) for part in _centred(moments))
    misfit = (syy - 2 * slope * sxy + slope**2 * sxx) / (vy - 2 * slope * vxy + slope**2 * vx)
    freedom = float(moments[0]) - 2
    return misfit / freedom if freedom > 0 else float("nan")
