"""Forecasts over several steps against the run's own reward curve, and their calibration."""

from collections.abc import Iterator, Sequence
from math import hypot

import numpy as np

from covlaw.records.constants import PREDICTIONS
from covlaw.records.verdict.rows import Estimate, Pair, Run
from covlaw.theory.estimators.calibration import Slope, calibration_slope


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

    Pairs without a forecast are left out; those in which nothing varied are not: what happened to
    stay as it was is an outcome. Where audits record how a forecast's error and its outcome's are
    correlated, that is used.
    """
    kept = [p for p in pairs if p.forecasts[forecast].known and p.realised.known]
    stretches = {key: n for n, key in enumerate(dict.fromkeys((p.run, p.step) for p in kept))}
    both = [[*p.forecasts[forecast][:2], *p.realised[:2]] for p in kept]
    x, x_error, y, y_error = np.array(both).reshape(-1, 4).T
    cluster = np.array([stretches[p.run, p.step] for p in kept], dtype=np.int64)
    shared = np.array([p.correlation.get(forecast, 0.0) for p in kept])
    return calibration_slope(x, y, x_error, y_error, cluster, correlation=shared)


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
