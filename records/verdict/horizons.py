"""Forecasts over several steps against the run's own reward curve, and their calibration."""

from collections.abc import Iterator, Sequence
from math import hypot

import numpy as np

from covlaw.records.constants import PREDICTIONS
from covlaw.records.verdict.rows import Estimate, Pair, Run
from covlaw.theory.estimators.calibration import Slope, calibration_slope

MOST_SHARED = 0.99
"""Correlation of errors that is used at most: at 1 a point could fix the line alone."""


def windows(run: Run, horizon: int) -> Iterator[Pair]:
    """Stretches of `horizon` steps that begin at an audit and share no batch with one another.

    Forecast: every step counts with the forecast of the newest audit at or before it; with sparse
    audits that is the one-step forecast times the steps, as it could be said when the stretch
    began. Realised: the difference of the mean rewards of the batches at both ends, of other
    prompts each, which are drawn before their step's update.
    """
    audits: dict[int, dict[str, Pair]] = {}
    for pair in run.audits:
        audits.setdefault(pair.step, {})[pair.objective] = pair
    free = 0
    for start in sorted(audits):
        end = start + horizon
        if free <= start and end < len(run.values):
            free = end + 1
            for j, objective in enumerate(run.objectives):
                forecasts = _cumulated(audits, objective, range(start, end))
                realised = difference(run.values[end][j], run.values[start][j])
                yield Pair(run.name, start, objective, forecasts, realised)


def difference(after: Estimate, before: Estimate) -> Estimate:
    """After − before, of independent samples."""
    return Estimate(after.value - before.value, hypot(after.error, before.error))


def calibration(pairs: Sequence[Pair], forecast: str) -> Slope:
    """Slope of what happened on a forecast; the objectives of one stretch are resampled together.

    Pairs without an error on either side are left out: nothing varied there. Where audits record
    how a forecast's error and its outcome's are correlated, their mean correlation is used: of one
    audit it is too noisy.
    """
    kept = [p for p in pairs if p.forecasts[forecast].measured and p.realised.measured]
    stretches = {key: n for n, key in enumerate(dict.fromkeys((p.run, p.step) for p in kept))}
    both = [[*p.forecasts[forecast][:2], *p.realised[:2]] for p in kept]
    columns = np.array(both).reshape(-1, 4).T
    cluster = np.array([stretches[p.run, p.step] for p in kept], dtype=np.int64)
    shared = [p.correlation.get(forecast, 0.0) for p in kept]
    r = min(float(np.mean(shared)), MOST_SHARED) if kept else 0.0
    x, x_error, y, y_error = columns
    return calibration_slope(x, y, x_error, y_error, cluster, correlation=r)


def _cumulated(
    audits: dict[int, dict[str, Pair]], objective: str, steps: range
) -> dict[str, Estimate]:
    """Sum of the newest forecasts; audits' samples are independent of one another."""
    known = sorted(audits)
    used = [max(a for a in known if a <= step) for step in steps]
    found = {}
    for name in PREDICTIONS:
        parts = [(used.count(a), audits[a][objective].forecasts[name]) for a in sorted(set(used))]
        value = sum(n * f.value for n, f in parts)
        found[name] = Estimate(value, hypot(*(n * f.error for n, f in parts)))
    return found
