"""T40: a running mean that lags behind lets CTWA overshoot, by a factor of κ = η·c/τ alone.

κ ≤ 1/4: none. κ = 1, 3, 10: ×1.20, 2.1, 5.0 (τ → 0, from y_0 = m_0 = c/10).
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.dynamics.ctwa_dynamics import Controller, ctwa_path
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement

LAG = 1 / 128
"""τ of the coarser of two runs."""
START = 0.1
NO_POLICY = "one objective's variance is all that enters, and it cancels: nothing of a policy"


def draw_responses(rng: np.random.Generator, count: int) -> Iterator[Tensor]:
    """Yield `count` κ in all, log-uniform from 0.5 to 12, at most 256 at a time."""
    for first in range(0, count, 256):
        size = min(256, count - first)
        yield torch.as_tensor(np.exp(rng.uniform(np.log(0.5), np.log(12.0), size=size)))


def sides(response: Tensor, rng: np.random.Generator) -> Sides:
    """Peak of y/c in CTWA's own recursion, extrapolated to τ → 0, against the limit equation."""
    peak, error = _extrapolated(response, rng)
    return Sides(peak, overshoot(response, START), error)


def no_lag_sides(response: Tensor, rng: np.random.Generator) -> Sides:
    """The false variant: covariances approach their targets from below, as without a mean."""
    peak, error = _extrapolated(response, rng)
    return Sides(peak, torch.ones_like(peak), error)


def late_sides(response: Tensor, rng: np.random.Generator) -> Sides:
    """The false variant: no overshoot up to κ = 1, as if the mean lagged by no more than a step."""
    right = sides(response, rng)
    return right._replace(predicted=torch.where(response <= 1, 1.0, right.predicted))


def _extrapolated(response: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Richardson's 2y(τ/2) − y(τ) of the first-order recursion, and |y(τ/2) − y(τ)|."""
    scale = torch.as_tensor(10 ** rng.uniform(-3, 3, size=response.shape))
    coarse, fine = (peak(response, scale, lag) for lag in (LAG, LAG / 2))
    return 2 * fine - coarse, (fine - coarse).abs()


def peak(response: Tensor, variance: Tensor, lag: float) -> Tensor:
    """Largest y/c (B,) of raw CTWA on one objective of the given variance, y_0 = c/10."""
    zero = torch.zeros(len(variance), 1, 1, dtype=torch.float64)
    problems = PromptCovariances(variance[:, None, None, None], zero[..., 0] + 1, zero, zero)
    targets = variance[:, None] / START
    controller = Controller("raw", response * lag / targets[:, 0], lag)
    for state in ctwa_path(problems, targets, zero[..., 0], controller):
        if bool((state.average >= targets).all()):  # log-weights have stopped
            return (state.signal / targets)[:, 0].clamp(min=1.0)
    raise AssertionError("a path does not end")


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


STATEMENT = Statement(
    id="T40",
    title="A slow running mean makes CTWA overshoot its target by a factor of ηc/τ alone",
    kind="identity",
    formula="κ = η c/τ, τ → 0: dw = κ relu(1 − n), dn = e^w − n; max y/c = e^{w(∞)};"
    " no overshoot for κ ≤ 1/4",
    latex=r"\dot w=\kappa\,(1-n)_+,\quad \dot n=e^{w}-n,\quad \kappa=\eta c/\tau:\quad"
    r"\max_t y_t/c=e^{w(\infty)}",
    assumptions=(
        "one objective, raw advantage, frozen variance",
        "y_0 = c/10, running mean started at y_0",
        "τ → 0: extrapolated from τ = 1/128 and 1/256",
    ),
    source="ours",
    explanation="CTWA reacts to a running mean of the covariance. While the mean catches up, the "
    "log-weight keeps rising, and as it can never fall, the excess stays for good: ×1.2, 2.1, 5.0 "
    "for κ = 1, 3, 10, where κ is step times target over the mean's rate τ. With κ of at most 1/4 "
    "there is no overshoot at all.",
    needs=Tensor,
    sides=sides,
    control=NegativeControl("targets are approached from below, as without a mean", no_lag_sides),
    nearer=(NegativeControl("no overshoot up to κ = 1", late_sides),),
    ensemble=Ensemble(draw_responses, 64),
    not_applicable=dict.fromkeys(("bandit", "tabular", "transformer", "llm"), NO_POLICY),
)
