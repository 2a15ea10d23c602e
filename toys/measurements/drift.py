"""Ascent while CTWA moves the weights: the gap beside the path that the weights travel (T43)."""

from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_dynamics import Controller, ctwa_path
from covlaw.theory.dynamics.pl_rates import drift_bound, improved_rate
from covlaw.theory.statements.convergence._drifting_problems import (
    DriftBatch,
    ascend,
    exact_drifts,
    path_drifts,
)
from covlaw.theory.statements.ctwa._problems import one_prompt
from covlaw.toys.measurements.gap_records import record

COVARIANCE, TARGET, STEP = [[1.0, -0.6], [-0.6, 1.0]], (0.4, 0.2), 0.2
"""What raw CTWA watches: two objectives in conflict."""
LENGTH = 1.0
"""γ·max_t L(λ_t)."""


def drifting_weights(rng: np.random.Generator, steps: int) -> dict[str, Any]:
    """Ascend λ_t·J of two quadratics whose peaks differ, λ_t raw CTWA's."""
    batch = drifting(rng, steps)
    run = ascend(batch)
    rates = improved_rate(run.mu[:, :-1], run.smoothness[:, :-1], run.step)
    first = run.gap[:, 0]

    def bound(drifts: Tensor) -> Tensor:
        return torch.cat([first[:, None], drift_bound(first, rates, drifts)], 1)[0]

    sides = {
        "ours": bound(exact_drifts(batch, run)),
        "path": bound(path_drifts(batch, run)),
        "false": bound(torch.zeros_like(rates)),
    }
    error = float(rounding(float(batch.weights.max() / batch.weights.min()), 2000 * (steps + 1)))
    return record("drift", "CTWA", run.gap[0], sides, error)


def drifting(rng: np.random.Generator, steps: int) -> DriftBatch:
    """Draw the quadratics: curvatures between 0.2 and 1, peaks two apart in some direction."""
    basis = np.linalg.qr(rng.normal(size=(1, 2, 2, 2)))[0]
    values = np.array([[[0.2, 1.0], [1.0, 0.2]]])[:, :, None]
    peak = np.linalg.qr(rng.normal(size=(2, 2)))[0][0]
    return DriftBatch(
        torch.as_tensor((basis * values) @ basis.swapaxes(-1, -2)),
        torch.as_tensor(np.stack([peak, -peak])[None]),
        ctwa_weights(steps),
        torch.as_tensor(10 * peak[None]),
        torch.tensor([LENGTH], dtype=torch.float64),
    )


def ctwa_weights(steps: int) -> Tensor:
    """λ_0 … λ_T: (1, T + 1, 2)."""
    goal = torch.tensor([TARGET], dtype=torch.float64)
    start = torch.full((1, 2), 0.1, dtype=torch.float64).log()
    path = ctwa_path(one_prompt(COVARIANCE), goal, start, Controller("raw", STEP))
    return torch.stack([state.log_weights.exp() for state in islice(path, steps + 1)], 1)
