"""The law as an alarm: did a certified Cov_j < 0 come before objective j fell, and how early?"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError
from covlaw.theory.interference import SACRIFICE, Attainable, checked_values, regression


class AlarmRecord(NamedTuple):
    """Alarms of one run against what followed, per objective: (M,) each.

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
    """Sum of those that were forecast: recall that does not count tiny falls as big ones."""
    lead_time: Tensor
    """Steps from the first alarm to the sacrifice, both after the objective's last peak; NaN
    where nothing was sacrificed, or without any alarm."""
    sacrificed_on_the_way: Tensor
    """bool: whether the regression ever exceeded the threshold; recovered or not."""

    @property
    def precision(self) -> Tensor:
        """Share of alarms that were followed by a fall: NaN without alarms."""
        return self.hits / self.alarms

    @property
    def recall(self) -> Tensor:
        """Share of falls that an alarm preceded: NaN without falls."""
        return self.hits / self.falls


def certified_fall(estimate: Tensor, error: Tensor, z: float = 3.0) -> Tensor:
    """The alarm: Cov_j < 0 by more than z standard errors, (...) bool.

    The negative side of `sign_certificate.sign_certified`. An exact covariance has its bound on
    rounding as error, with z = 1; where the error is not known (NaN) there is no alarm.

    Raises:
        CovlawError: on a negative or undefined z.
    """
    if not z >= 0:
        raise CovlawError(f"z is {z}: ask for a number of standard errors ≥ 0, e.g. 3")
    return estimate < -z * error


def alarm_record(
    values: Tensor,
    alarms: Tensor,
    attainable: Attainable,
    threshold: float = SACRIFICE,
    tolerance: Tensor | float = 0.0,
) -> AlarmRecord:
    """Compare each step's alarm with what the step did.

    Args:
        values: (T, M) J_j after 0, …, T − 1 steps.
        alarms: (T − 1, M) bool: the alarm of the policy before each step.
        attainable: Floor and ceiling of each objective.
        threshold: Regression that counts as a sacrifice.
        tolerance: Falls up to this much, (M,) or one number in units of reward, are none: the
            rounding or the sampling error of a difference of values.

    Raises:
        CovlawError: on shapes that do not fit, and as `interference.interference`.
    """
    path, floor, _ = checked_values(values, attainable)
    if alarms.dtype != torch.bool or alarms.shape != (path.shape[0] - 1, path.shape[1]):
        raise CovlawError(
            f"alarms {tuple(alarms.shape)} of {alarms.dtype} for values {tuple(path.shape)}: give "
            "one bool a step and objective, (T − 1, M)"
        )
    drop = path[:-1] - path[1:]
    falls = drop > torch.as_tensor(tolerance, dtype=torch.float64)
    hits, size = falls & alarms, torch.where(falls, drop, 0.0)
    lost = regression(path, path[0], floor) > threshold
    leads = [_lead_time(path[:, j], alarms[:, j], lost[:, j]) for j in range(path.shape[1])]
    return AlarmRecord(
        alarms.sum(0),
        falls.sum(0),
        hits.sum(0),
        size.sum(0),
        (size * hits).sum(0),
        torch.tensor(leads, dtype=torch.float64),
        lost.any(0),
    )


def _lead_time(path: Tensor, alarms: Tensor, lost: Tensor) -> float:
    """Steps from the first alarm after the last peak to the first row that is lost."""
    if not bool(lost.any()):
        return float("nan")
    end = int(lost.nonzero()[0])
    peak = end - 1 - int(path[:end].flip(0).argmax())
    raised = alarms[peak:end].nonzero()
    return float(end - peak - int(raised[0])) if raised.numel() else float("nan")
