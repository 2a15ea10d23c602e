"""Whether a calibration line's interval covers slope 1: shared prompts, and errors that are counts.

Forecast and outcome see the same prompts, which differ in what an update does to them: their errors
are correlated. And where few completions differ, an estimate and its standard error are small
together: weights of York's line from each point's own errors flatten it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from covlaw.theory.estimators.calibration import (
    calibration_slope,
    jackknife_error,
    jackknife_margin,
)
from covlaw.theory.estimators.error_correlation import prompt_correlation
from covlaw.theory.solvers.york import line_with_errors

Array = NDArray[np.float64]
AUDITS, OBJECTIVES, PROMPTS = 45, 3, 32
EFFECT = 0.02
"""Spread of the true changes from audit to audit."""
SPREADS = (0.0, 0.05)
"""Of the true changes from prompt to prompt."""
NOISES = (0.02, 0.05)
"""Of a prompt's forecast and of its measured change."""
SIZES = (8, 16)
"""Completions a prompt that the forecast and the outcome are counted on."""
TILT, STIR = 0.2, 0.002
"""Log-ratio of the completions that carry a change; share that differs besides, either way."""
RUNS, QUICK_RUNS = 1000, 4
OWN = 5
"""York's line from own errors, which has no closed form, is fitted to every fifth set."""


class Seen(NamedTuple):
    """Prompts' forecasts and changes, (audits x objectives, prompts) each, with one truth."""

    forecast: Array
    change: Array


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Fit lines to calibrated forecasts, with and without what the errors share.

    Args:
        seed: Of everything.
        quick: Fewer sets of audits.

    Returns:
        A record for each kind of errors ("normal", "counts"), spread between prompts and way:
        `correlation` ("ignored", "used"), `weights` ("alike", "own": each point's own errors),
        `slope` (mean; 1 in truth), `slope_se`, `n` sets of audits, `covered` intervals.
    """
    runs = QUICK_RUNS if quick else RUNS
    cases = [("normal", spread) for spread in SPREADS] + [("counts", 0.0)]
    return [
        record
        for k, (errors, spread) in enumerate(cases)
        for record in _compared(errors, spread, runs, np.random.default_rng([seed, k]))
    ]


def _compared(
    errors: str, spread: float, runs: int, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    sets = [_counted(rng) if errors == "counts" else _normal(spread, rng) for _ in range(runs)]
    for correlation, weights in (("ignored", "alike"), ("used", "alike"), ("used", "own")):
        own = weights == "own"
        found = [_line(seen, correlation == "used", own) for seen in sets[:: OWN if own else 1]]
        values = np.array([value for value, _ in found])
        yield {
            "errors": errors,
            "spread": spread,
            "correlation": correlation,
            "weights": weights,
            "slope": float(values.mean()),
            "slope_se": float(values.std() / len(values) ** 0.5),
            "n": len(values),
            "covered": sum(hit for _, hit in found),
        }


def _line(seen: Seen, shared: bool, own: bool) -> tuple[float, bool]:
    """The slope, and whether its interval holds 1."""
    (x, sx), (y, sy) = _mean(seen.forecast), _mean(seen.change)
    r = prompt_correlation(*(torch.as_tensor(v.T) for v in seen)).numpy() * shared
    cluster = np.arange(len(x)) // OBJECTIVES
    if not own:
        slope = calibration_slope(x, y, sx, sy, cluster, correlation=r)
        return slope.value, slope.low <= 1 <= slope.high
    kept, r = (sx > 0) & (sy > 0), r.mean()
    x, y, sx, sy = (v[kept] for v in (x, y, sx, sy))
    others = 1 - np.eye(AUDITS)[:, cluster[kept]]
    value, *without = line_with_errors(
        x, y, sx, sy, np.vstack([np.ones(len(x)), others]), correlation=r
    ).slope
    margin = jackknife_margin(jackknife_error(np.array(without)), AUDITS)
    return float(value), bool(abs(value - 1) <= margin)


def _normal(spread: float, rng: np.random.Generator) -> Seen:
    rows = AUDITS * OBJECTIVES
    truth = EFFECT * rng.normal(size=(rows, 1)) + spread * rng.normal(size=(rows, PROMPTS))
    return Seen(*(truth + noise * rng.normal(size=truth.shape) for noise in NOISES))


def _counted(rng: np.random.Generator) -> Seen:
    """Rewarded completions of log-ratio ±TILT carry the change; a pair that differs is ±1."""
    truth = EFFECT * rng.standard_t(3, size=(AUDITS * OBJECTIVES, 1))
    sign, size = np.sign(truth), np.minimum(np.abs(truth), TILT / 2)
    tilted, pairs = SIZES
    shape = (len(truth), PROMPTS)
    forecast = sign * TILT * rng.binomial(tilted, size / TILT, shape) / tilted
    counts = [rng.binomial(pairs, STIR + share, shape) for share in (size, 0 * size)]
    return Seen(forecast, sign * (counts[0] - counts[1]) / pairs)


def _mean(values: Array) -> tuple[Array, Array]:
    return values.mean(1), values.std(1, ddof=1) / PROMPTS**0.5
