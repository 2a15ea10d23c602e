"""Whether a calibration line's interval covers slope 1, prompts shared between both sides."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from covlaw.theory.estimators.calibration import calibration_slope
from covlaw.theory.estimators.error_correlation import prompt_correlation

Array = NDArray[np.float64]
AUDITS, OBJECTIVES, PROMPTS = 45, 3, 32
EFFECT = 0.02
"""Spread of the true changes from audit to audit."""
SPREADS = (0.0, 0.05)
"""Of the true changes from prompt to prompt."""
NOISES = (0.02, 0.05)
"""Of a prompt's forecast and of its measured change."""
RUNS, QUICK_RUNS = 200, 6


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Fit lines to calibrated forecasts, with and without the correlation of the two errors.

    Args:
        seed: Of everything.
        quick: Fewer sets of audits.

    Returns:
        A record for each spread between prompts and each way: `correlation` ("ignored", "used"),
        `slope` (mean; 1 in truth), `slope_se`, `n` sets of audits, `covered` intervals.
    """
    runs = QUICK_RUNS if quick else RUNS
    return [
        record
        for k, spread in enumerate(SPREADS)
        for record in _compared(spread, runs, np.random.default_rng([seed, k]))
    ]


def _compared(spread: float, runs: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    cluster = np.arange(AUDITS * OBJECTIVES) // OBJECTIVES
    found: dict[str, list[tuple[float, bool]]] = {"ignored": [], "used": []}
    for _ in range(runs):
        first, second = _audits(spread, rng)
        (x, sx), (y, sy) = _mean(first), _mean(second)
        r = float(prompt_correlation(*(torch.as_tensor(v.T) for v in (first, second))).mean())
        for name, shared in (("ignored", 0.0), ("used", r)):
            slope = calibration_slope(x, y, sx, sy, cluster, correlation=shared)
            found[name].append((slope.value, slope.low <= 1 <= slope.high))
    return [
        {
            "spread": spread,
            "correlation": name,
            "slope": float(np.mean([value for value, _ in own])),
            "slope_se": float(np.std([value for value, _ in own]) / runs**0.5),
            "n": runs,
            "covered": int(sum(hit for _, hit in own)),
        }
        for name, own in found.items()
    ]


def _audits(spread: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Prompts' forecasts and changes, (audits x objectives, prompts) each, with one truth."""
    rows = AUDITS * OBJECTIVES
    truth = EFFECT * rng.normal(size=(rows, 1)) + spread * rng.normal(size=(rows, PROMPTS))
    first, second = (truth + noise * rng.normal(size=truth.shape) for noise in NOISES)
    return first, second


def _mean(values: Array) -> tuple[Array, Array]:
    return values.mean(1), values.std(1, ddof=1) / PROMPTS**0.5
