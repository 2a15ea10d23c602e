"""Calibration of forecasts: the line of what happened on what was forecast, both with errors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.bootstrap import cluster_counts

Array = NDArray[np.float64]
ROUNDS = 500
"""Fixed-point rounds; a line that has not settled by then is NaN."""
SETTLED = 2.0**-40
"""Relative change of the slope below which it has."""
RESAMPLES = 1000
BLOCK = 2**14
"""Points times resamples that are worked on together."""
MOST_SHARED = 0.99
"""Correlation of errors that is used at most: at 1 a point could fix the line alone."""
_QUANTILES = (0.025, 0.1587, 0.8413, 0.975)


class Points(NamedTuple):
    """What a line is drawn through, (n,) each."""

    x: Array
    y: Array
    vx: Array
    """Squared errors."""
    vy: Array
    vxy: Array
    """Their covariance."""


class Line(NamedTuple):
    """y = a + b·x; each field (...), one a resample."""

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
    x: Array,
    y: Array,
    x_error: Array,
    y_error: Array,
    weight: ArrayLike | None = None,
    correlation: ArrayLike = 0.0,
) -> Line:
    """Least-squares line with known errors in both coordinates.

    Minimises Σ (y − a − bx)²/(σ_y² + b²σ_x² − 2brσ_xσ_y) by the unified equations of York, Evensen,
    López Martínez & De Basabe Delgado (Am. J. Phys. 72(3), 2004). The usual regression on noisy
    forecasts would be too flat.

    Args:
        x: (n,) forecasts.
        y: (n,) what happened.
        x_error: (n,) standard errors ≥ 0; with `y_error` not both 0.
        y_error: (n,).
        weight: (..., n) multiplicities, e.g. of resamples; None: 1 each.
        correlation: (n,) or one number r, |r| < 1: of a point's two errors. They are correlated
            where both sides were seen on the same prompts; left out, the slope comes out too steep.

    Raises:
        CovlawError: on shapes that do not fit, entries that are not finite, or points without any
            error.
    """
    points = _checked(x, y, x_error, y_error, correlation)
    count = np.ones(len(points[0])) if weight is None else np.asarray(weight, dtype=np.float64)
    slope = _slopes(points, count.reshape(-1, count.shape[-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = slope.reshape(count.shape[:-1])
        return _centred(slope, points, count).line(slope)


def _slopes(points: Points, count: Array) -> Array:
    """Slopes of resamples (r, n), so many at a time as the processor's cache holds."""
    rows = max(1, BLOCK // max(count.shape[1], 1))
    starts = range(0, len(count), rows)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.concatenate([_settled(points, count[start : start + rows]) for start in starts])


def _settled(points: Points, count: Array) -> Array:
    """Slopes of some resamples; one that has settled is not worked on any further."""
    slope = _first_slope(points, count)
    at_work, own = np.arange(len(count)), count
    for _ in range(ROUNDS // 2):
        first = _centred(slope[at_work], points, own).next_slope()
        second = _centred(first, points, own).next_slope()
        moves = np.abs(second - first) > SETTLED * np.abs(second)  # not where it is NaN
        slope[at_work] = np.where(moves, _extrapolated(slope[at_work], first, second), second)
        if not moves.all():
            at_work, own = at_work[moves], own[moves]
        if not len(at_work):
            break
    slope[at_work] = np.nan
    return slope


def _extrapolated(start: Array, first: Array, second: Array) -> Array:
    """Limit of a geometric sequence (Aitken), where its steps shrink by half or more."""
    step = second - first
    ahead = step**2 / (first - start - step)
    sound = np.abs(ahead) <= np.abs(step)  # false for NaN
    return np.where(sound, second + ahead, second)


def calibration_slope(
    x: Array,
    y: Array,
    x_error: Array,
    y_error: Array,
    cluster: NDArray[np.int64],
    seed: int = 0,
    correlation: ArrayLike = 0.0,
) -> Slope:
    """A line through points of alike errors, with a bootstrap over clusters of points.

    An error estimated from the sample that gave the estimate is small where the estimate happens to
    be: few completions that differ mean a small change *and* a small error. As York's weights 1/σ²
    such errors prefer the small outcomes, and flatten the line. So all points get the same ones,
    from their mean variances and mean covariance (Deming's line), which is consistent for unequal
    errors too. A point whose own errors are 0 counts as any other: to leave out what happened
    not to differ would be the same selection.

    Args:
        x: (n,) forecasts.
        y: (n,) what happened.
        x_error: (n,) standard errors ≥ 0.
        y_error: (n,).
        cluster: (n,) ids; points of one, e.g. the objectives of an audit, are drawn together.
        seed: Of the resampling.
        correlation: (n,) or one number: of a point's two errors, as `line_with_errors`.

    Returns:
        NaN where there are fewer than three clusters, or no error at all.
    """
    names, place = np.unique(cluster, return_inverse=True)
    if len(names) < 3 or not (np.any(x_error) or np.any(y_error)):
        nan = float("nan")
        return Slope(nan, nan, nan, nan, nan, nan, len(x), len(names))
    sx, sy, shared = _alike(x_error, y_error, correlation)
    points = _checked(x, y, sx, sy, shared)
    found = line_with_errors(x, y, sx, sy, correlation=shared)
    drawn = cluster_counts(place, RESAMPLES, seed)
    parts = np.array_split(drawn, 10)  # all at once would be memory's worth
    slopes = np.concatenate([_slopes(points, part[:, place]) for part in parts])
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
        weight = self.weight * self.beta
        across: Array = np.vecdot(weight, self.v)
        along: Array = np.vecdot(weight, self.u)
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


def _centred(slope: Array, points: Points, count: Array) -> _Centred:
    x, y, vx, vy, vxy = points
    b = slope[..., None]
    own = 1 / (vy + b**2 * vx - 2 * b * vxy)
    weight = count * own
    total = weight.sum(-1)
    x_mean, y_mean = weight @ x / total, weight @ y / total
    u, v = x - x_mean[..., None], y - y_mean[..., None]
    beta = own * (u * vy + b * v * vx - (b * u + v) * vxy)
    return _Centred(weight, u, v, beta, x_mean, y_mean, slope, count)


def _first_slope(points: Points, count: Array) -> Array:
    """Weighted least squares, as if y had both errors."""
    weight = count / (points.vx + points.vy)
    u = points.x - (weight @ points.x / weight.sum(-1))[:, None]
    weight *= u
    slope: Array = weight @ points.y / np.vecdot(weight, u)
    return slope


def _alike(x_error: Array, y_error: Array, correlation: ArrayLike) -> tuple[Array, Array, float]:
    """Root mean squares of the errors, (n,) each, and the correlation of their mean covariance."""
    together = x_error * y_error
    first, second = (float(np.mean(e**2)) ** 0.5 for e in (x_error, y_error))
    size = first * second
    r = np.asarray(correlation, dtype=np.float64)
    shared = float(np.mean(r * together)) / size if size > 0 else 0.0
    within = min(max(shared, -MOST_SHARED), MOST_SHARED)
    return np.full(len(together), first), np.full(len(together), second), within


def _checked(x: Array, y: Array, x_error: Array, y_error: Array, correlation: ArrayLike) -> Points:
    columns = (x, y, x_error, y_error)
    found = [np.asarray(c, dtype=np.float64) for c in columns]
    if any(c.ndim != 1 or c.shape != found[0].shape for c in found):
        shapes = ", ".join(str(c.shape) for c in found)
        raise CovlawError(f"points of shapes {shapes}: give (n,) four times")
    if not all(np.isfinite(c).all() for c in found):
        raise CovlawError("points or errors are not finite: leave out what was not measured")
    if ((found[2] <= 0) & (found[3] <= 0)).any():
        raise CovlawError("a point has no error in either coordinate: leave it out or give one")
    r = np.broadcast_to(np.asarray(correlation, dtype=np.float64), found[0].shape)
    if not (np.abs(r) < 1).all():
        raise CovlawError("a correlation of errors is not between -1 and 1, both excluded: mend it")
    return Points(found[0], found[1], found[2] ** 2, found[3] ** 2, r * found[2] * found[3])
