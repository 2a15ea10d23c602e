"""CTWA's weights over time, for a batch of frozen covariance problems (T33–T40).

u += η·relu(c − m), m ← (1 − τ)m + τ·y(e^u): log-weights only ever rise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.dynamics.ctwa_signals import SIGNALS
from covlaw.theory.estimators.prompt_covariances import PromptCovariances

OVERFLOW = 600.0
"""Log-weight at which raw weights count as diverged: e^709 is the end of float64."""


@dataclass(frozen=True)
class Controller:
    """CTWA's options.

    Args:
        signal: Which y it watches: raw, grpo, whitened or pooled (`ctwa_signals`).
        step: η > 0, one number or (...) one a problem; log-weight per unit of missing covariance.
        ema: τ in (0, 1]: share of the new observation; 1 means none.

    Raises:
        CovlawError: on an unknown signal, or numbers outside their domain.
    """

    signal: str
    step: float | Tensor
    ema: float = 1.0

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise unknown("signal", self.signal, tuple(SIGNALS))
        if not bool((torch.as_tensor(self.step) > 0).all()) or not 0 < self.ema <= 1:
            raise CovlawError(
                f"step {self.step}, ema {self.ema}: use a step > 0 and an ema in (0, 1]"
            )


class ControllerState(NamedTuple):
    """One moment: (..., M) each."""

    log_weights: Tensor
    """u."""
    signal: Tensor
    """y(e^u)."""
    average: Tensor
    """m, the running mean of y that u reacts to."""


def ctwa_path(
    covariances: PromptCovariances, targets: Tensor, start: Tensor, controller: Controller
) -> Iterator[ControllerState]:
    """Yield the state before each step, for ever; the running mean starts at the first y.

    Args:
        covariances: Frozen; any leading batch axes.
        targets: (..., M) c ≥ 0, in units of y.
        start: (..., M) u at the start.
        controller: Options.
    """
    step = torch.as_tensor(controller.step, dtype=torch.float64)
    step = step[..., None] if step.ndim else step
    u, average = start, None
    while True:
        y = observed(covariances, u, controller.signal)
        average = y if average is None else average + controller.ema * (y - average)
        yield ControllerState(u, y, average)
        u = u + step * torch.relu(targets - average)


def observed(covariances: PromptCovariances, log_weights: Tensor, signal: str) -> Tensor:
    """y(e^u): (..., M), computed at weights of largest 1, so that only a raw y can overflow."""
    top = log_weights.amax(-1, keepdim=True)
    y = SIGNALS[signal](covariances, (log_weights - top).exp())
    return y * top.clamp(max=OVERFLOW).exp() if signal == "raw" else y


class PathOutcome(NamedTuple):
    """Where runs ended."""

    final: ControllerState
    reached: Tensor
    """(...) bool: every y_j ≥ c_j·(1 − slack)."""
    diverged: Tensor
    """(...) bool: a log-weight passed `OVERFLOW`, or is not finite."""
    steps: int


def run_ctwa(
    covariances: PromptCovariances,
    targets: Tensor,
    start: Tensor,
    controller: Controller,
    steps: int,
    slack: float = 0.0,
) -> PathOutcome:
    """Run until every problem has reached its targets or diverged, at most `steps` steps.

    A problem that is neither was still moving. `slack`: share of a target that may be missing;
    raw weights approach their targets from below and attain them only in the limit (T33).
    """
    goal = targets * (1 - slack) if slack else targets
    for taken, state in enumerate(ctwa_path(covariances, targets, start, controller)):
        reached = (state.signal >= goal).all(-1)
        # not a difference: u may be infinite
        diverged = ~(state.log_weights.amax(-1) < OVERFLOW)
        if taken == steps or bool((reached | diverged).all()):
            return PathOutcome(state, reached & ~diverged, diverged, taken)
    raise AssertionError("a path does not end")


def uniform_start(covariances: PromptCovariances) -> Tensor:
    """u = 0: equal weights, (..., M)."""
    return torch.zeros_like(covariances.means[..., 0, :])
