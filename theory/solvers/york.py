"""York's line: through points with errors in both coordinates, each point with its own."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covlaw.theory._numerics.errors import CovlawError

Array = NDArray[np.float64]
ROUNDS = 500
"""Fixed-point rounds; a line that has not settled by then is NaN."""
SETTLED = 2.0**-40
"""Relative change of the slope below which it has."""
BLOCK = 2**14
"""Points times resamples that are worked on together."""


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
