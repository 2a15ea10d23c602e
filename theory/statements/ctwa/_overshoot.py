"""How far CTWA overshoots a target because its running mean lags behind (T40)."""

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError

MONOTONE = 0.25
"""Largest κ = η·c/τ without any overshoot, from every start below the target."""


def overshoot(response: Tensor, start: float = 0.1) -> Tensor:
    """Largest y/c of one raw objective watched through a slow running mean, as τ → 0 (T40).

    In time τt, w = log(y/c) and n = m/c follow dw = κ·relu(1 − n), dn = e^w − n from y = m =
    start·c, κ = η·c/τ; w rises until n first passes 1. For κ ≤ 1/4 the region −w ≥ (1 − n)/2 is
    never left, so y never exceeds c and the factor is 1; beyond, the target is a focus.

    Args:
        response: (B,) κ > 0.
        start: y_0/c in (0, 1].

    Raises:
        CovlawError: on κ or a start outside its domain, or an integration that fails.
    """
    kappa = np.asarray(response, dtype=float)
    if not bool((kappa > 0).all()) or not np.isfinite(kappa).all() or not 0 < start <= 1:
        raise CovlawError(f"response {response}, start {start}: use finite κ > 0, 0 < start ≤ 1")
    slow = np.where(kappa > MONOTONE, kappa, 1.0)

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        level, mean = state.reshape(2, -1)
        return np.concatenate([slow * np.maximum(1 - mean, 0), np.exp(level) - mean])

    initial = np.concatenate([np.full(slow.shape, np.log(start)), np.full(slow.shape, start)])
    # half a turn around the target takes π/√(κ − ¼); the way there some log(1/start)/κ more
    end = 4 * np.pi / np.sqrt(slow.min() - MONOTONE) + 4 * np.log(1 / start) / slow.min() + 10
    found = solve_ivp(slope, (0.0, end), initial, method="DOP853", rtol=1e-9, atol=1e-12)
    if not found.success:
        raise CovlawError(f"overshoot was not integrated ({found.message}): use a larger κ")
    factor = np.where(kappa > MONOTONE, np.exp(found.y[: slow.shape[0], -1]), 1.0)
    return torch.as_tensor(np.maximum(factor, 1.0))
