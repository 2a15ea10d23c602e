"""Optimality gaps beside their bounds: smooth PL functions and softmax policies (T41–T46)."""

from typing import Any

import numpy as np
import torch

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.pl_rates import (
    classic_rate,
    improved_rate,
    noise_floor,
    noisy_gap_bound,
)
from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence._pl_problems import PLBatch
from covlaw.toys.measurements.drift import drifting_weights
from covlaw.toys.measurements.gap_records import record
from covlaw.toys.measurements.softmax_gaps import softmax_gaps

STARTS = 64
LENGTH, DEVIATION = 0.3, 0.1
"""Of the noisy run: Lγ, and σ in units of L."""


def measure(seed: int = 0, quick: bool = False) -> list[dict[str, Any]]:
    """Follow seven runs of ascent or descent, each beside what bounds its gap.

    Args:
        seed: Of starts, rewards and drifting objectives.
        quick: A tenth of the iterations.

    Returns:
        Records as `gap_records.record` makes them. JSON-able.
    """
    rng, cut = np.random.default_rng([seed, 41]), 10 if quick else 1
    return [
        _smooth(rng, 400 // cut),
        noisy(float(rng.uniform(2, 4)), 60 // cut),
        drifting_weights(rng, 160 // cut),
        *softmax_gaps(rng, cut),
    ]


def _smooth(rng: np.random.Generator, steps: int) -> dict[str, Any]:
    """T41 at γ = 1/L: largest gap/δ_0 of many starts on a bowl of curvature μ beside waves."""
    exact: dict[str, Any] = {"dtype": torch.float64}
    scale = torch.tensor([[bumpy.PL / 2, 1.0]], **exact)
    bump = torch.tensor([[0.0, bumpy.BUMP]], **exact)
    start = torch.as_tensor(rng.normal(scale=10, size=(1, STARTS, 2)))
    constants = bumpy.PL, bumpy.SMOOTHNESS, 1 / bumpy.SMOOTHNESS
    axes, step = torch.eye(2, **exact)[None], torch.full((1,), constants[2], **exact)
    batch, x, gap = PLBatch(axes, scale, bump, step, start), start, []
    for _ in range(steps + 1):
        gap.append((batch.value(x) / batch.value(start)).max())
        x = batch.descend(x)
    t = torch.arange(steps + 1, dtype=torch.float64)
    bounds = {"classic": classic_rate(*constants) ** t, "improved": improved_rate(*constants) ** t}
    error = float(rounding(1.0, 64 * (steps + 1)))
    return record("smooth", f"slowest of {STARTS}", torch.stack(gap), bounds, error)


def noisy(start: float, steps: int) -> dict[str, Any]:
    """T42 on f = x²/2 with noise of variance σ²: E x² ← (1 − γ)²·E x² + γ²σ², exactly."""
    variance, moments = DEVIATION**2, [start**2]
    for _ in range(steps):
        moments.append((1 - LENGTH) ** 2 * moments[-1] + LENGTH**2 * variance)
    gap, t = torch.tensor(moments, dtype=torch.float64) / 2, torch.arange(steps + 1)
    kept = classic_rate(1.0, 1.0, LENGTH) ** t
    # Bottou, Curtis & Nocedal (2018), Theorem 4.6: factor 1 − μγ and floor Lγσ²/(2μ) for γ ≤ 1/L
    usual = LENGTH * variance / 2
    bounds = {
        "ours": torch.stack(
            [noisy_gap_bound(gap[0], int(k), 1.0, 1.0, LENGTH, variance) for k in t]
        ),
        "classic": usual + (1 - LENGTH) ** t * (gap[0] - usual),
        "false": kept * gap[0] + noise_floor(1.0, 1.0, LENGTH, variance) * (2 - LENGTH) / 2,
    }
    error = rounding(2 / (LENGTH * (2 - LENGTH)), 16 * (steps + 1))
    return record("noise", "x²/2", gap, bounds, float(error))
