"""The law as an alarm: did a clear forecast of a fall come before it, and how early?

The forecast is in units of the objective's change: the law Cov_j times the signed scale c of the
step, c = Cov(s, g)/Var(s) with g the step's own field (T10). c > 0 for a step along the gradient of
the signal; where an optimiser steps against its signal, a positive covariance announces a fall.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.records.constants import CERTAIN, CLEAR
from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.interference import SACRIFICE, Attainable, checked_values, regression


class AlarmCounts(NamedTuple):
    """Alarms against what the steps then did, per objective: (M,) each.

    Counts add up over runs, where ratios do not.
    """

    alarms: Tensor
    """Steps forecast to lower the objective."""
    falls: Tensor
    """Steps that lowered it."""
    hits: Tensor
    """Steps forecast to lower it that did."""
    fallen: Tensor
    """Sum of all falls, in units of reward."""
    fallen_forecast: Tensor
    """Sum of those that were forecast."""

    @property
    def precision(self) -> Tensor:
        """Share of alarms that were followed by a fall; NaN without alarms."""
        return self.hits / self.alarms

    @property
    def recall(self) -> Tensor:
        """Share of falls that an alarm preceded; NaN without falls."""
        return self.hits / self.falls

    @property
    def recall_by_size(self) -> Tensor:
        """Share of what was lost that an alarm preceded: tiny falls do not count as big ones."""
        return self.fallen_forecast / self.fallen


def certified_fall(estimate: Tensor, error: Tensor, z: float = CERTAIN) -> Tensor:
    """The alarm: a forecast below 0 by more than z standard errors, (...) bool.

    A plain rule for numbers whose samples are gone: where they are at hand,
    `sign_certificate.sign_certified` is what keeps a stated error rate. An exact covariance has its
    bound on rounding as error, with z = 1; where the error is not known (NaN) there is no alarm.

    Raises:
        CovlawError: on a negative or undefined z.
    """
    if not z >= 0:
        raise CovlawError(f"z is {z}: ask for a number of standard errors ≥ 0, e.g. 3")
    return estimate < -z * error


def count_alarms(alarms: Tensor, change: Tensor, tolerance: Tensor | float = 0.0) -> AlarmCounts:
    """Compare each step's alarm with the change of the objectives in that step.

    Args:
        alarms: (S, M) bool: the alarm of the policy before each step.
        change: (S, M) what the step did to J_j.
        tolerance: Falls up to this much, in units of reward and broadcast against `change`, are
            none: the rounding or the sampling error of a change.

    Raises:
        CovlawError: on shapes that do not fit, and changes that are not finite.
    """
    moved = as_float64(change, "change")
    if alarms.dtype != torch.bool or moved.ndim != 2 or alarms.shape != moved.shape:
        raise CovlawError(
            f"alarms {tuple(alarms.shape)} of {alarms.dtype} for changes {tuple(moved.shape)}: "
            "give one bool and one change a step and objective, (S, M)"
        )
    if not bool(torch.isfinite(moved).all()):
        raise CovlawError("changes are not finite: leave out what was recorded after a divergence")
    falls = moved < -torch.as_tensor(tolerance, dtype=torch.float64)
    size, hits = torch.where(falls, -moved, 0.0), falls & alarms
    counts = (x.sum(0) for x in (alarms, falls, hits, size, size * hits))
    return AlarmCounts(*counts)


def judge_alarms(
    forecast: Tensor, forecast_error: Tensor, change: Tensor, change_error: Tensor
) -> AlarmCounts:
    """Judge sampled forecasts of single steps by the changes measured on fresh samples.

    An alarm is a forecast certainly below 0 (`CERTAIN`); the step lowered an objective where the
    measured change is clearly below 0 (`CLEAR`).

    Args:
        forecast: (S, M) in units of the change.
        forecast_error: (S, M) its standard error.
        change: (S, M) measured.
        change_error: (S, M) its standard error.
    """
    return count_alarms(certified_fall(forecast, forecast_error), change, CLEAR * change_error)


def lead_times(
    values: Tensor, alarms: Tensor, attainable: Attainable, threshold: float = SACRIFICE
) -> Tensor:
    """Steps from the first alarm to the sacrifice, both after the objective's last peak: (M,).

    The sacrifice is the first time that the regression exceeds the threshold; it may recover
    later. NaN where there was none, or no alarm since the peak. At least 1.

    Args:
        values: (T, M) J_j after 0, …, T − 1 steps.
        alarms: (T − 1, M) bool: the alarm of the policy before each step.
        attainable: Floor and ceiling of each objective.
        threshold: Regression that counts as a sacrifice.

    Raises:
        CovlawError: on shapes that do not fit, and as `interference.interference`.
    """
    path, floor, _ = checked_values(values, attainable)
    if alarms.dtype != torch.bool or alarms.shape != (path.shape[0] - 1, path.shape[1]):
        raise CovlawError(
            f"alarms {tuple(alarms.shape)} of {alarms.dtype} for values {tuple(path.shape)}: give "
            "one bool a step and objective, (T − 1, M)"
        )
    lost = regression(path, path[0], floor) > threshold
    columns = zip(path.T, alarms.T, lost.T, strict=True)
    return torch.tensor([lead_time(*column) for column in columns], dtype=torch.float64)


def lead_time(path: Tensor, alarms: Tensor, lost: Tensor, window: int = 1) -> float:
    """Steps from the first alarm since the last peak to the loss, of one objective; or NaN.

    Args:
        path: (T − window + 1,) mean of J over `window` steps, the first of them step 0, 1, ….
        alarms: (T − 1,) bool: before each step.
        lost: As path, bool: whether it counts as lost; False at the start.
        window: Steps averaged; a loss shows only when the last of them is done.
    """
    if not bool(lost.any()):
        return float("nan")
    end = int(lost.nonzero()[0])
    peak, shown = end - 1 - int(path[:end].flip(0).argmax()), end + window - 1
    raised = alarms[peak:shown].nonzero()
    return float(shown - peak - int(raised[0])) if raised.numel() else float("nan")
