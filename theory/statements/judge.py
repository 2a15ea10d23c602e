"""From both sides on many instances to one verdict."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import norm
from scipy.stats import t as student
from torch import Tensor

from covlaw.theory.statements._pooled import Pooled, pooled
from covlaw.theory.statements.base import NOTHING, Kind, Sides

ERROR_RATE = 1e-3
"""Stated probability that a true claim is refuted on sampled instances (all comparisons of one
verdict together, Bonferroni, and half of it for the slope of them all where there is one); exact
instances have no such error."""


class Judgement(NamedTuple):
    """Counts and the worst comparison."""

    n: int
    violations: int
    measured: float
    predicted: float
    tolerance: float
    slack: float
    tightness: float | None
    slope: Pooled | None = None
    """Of all sampled identities together; a slope other than 1 counts as one more violation."""
    finite: int = 0
    """Violations in which both sides and the tolerance are finite: a false variant whose numbers
    overflow is not refuted by that."""


def judge(kind: Kind, sides: Sequence[Sides]) -> Judgement | None:
    """Judge all comparisons together; None when there is nothing to compare.

    The reported comparison is the worst: the one with the least slack relative to its tolerance.
    A side or tolerance that is not finite is a violation, and a counterexample needs signs that
    are opposite beyond the tolerance.
    """
    slope = pooled(sides) if kind == "identity" else None
    measured, predicted, tolerance = _stack(sides, ERROR_RATE / (1 if slope is None else 2))
    if measured.numel() == 0:
        return None
    slack = _SLACK[kind](measured, predicted, tolerance)
    finite = torch.isfinite(measured) & torch.isfinite(predicted) & torch.isfinite(tolerance)
    bad = ~finite | (slack <= 0 if kind == "counterexample" else slack < 0)
    floor = torch.where(tolerance > 0, tolerance, torch.finfo(torch.float64).tiny)
    relative = torch.where(finite, slack / floor, -torch.inf)
    relative[~bad & (slack == 0)] = torch.inf  # equal to the last bit: nothing to report
    worst = int(relative.argmin())
    sloped = slope is not None and slope.p_value < ERROR_RATE / 2
    return Judgement(
        n=measured.numel(),
        violations=int(bad.sum()) + sloped,
        measured=float(measured[worst]),
        predicted=float(predicted[worst]),
        tolerance=float(tolerance[worst]),
        slack=float(slack[worst]),
        tightness=_tightness(kind, measured - tolerance, predicted),
        slope=slope,
        finite=int((bad & finite).sum()) + sloped,
    )


def critical_value(
    comparisons: int, freedom: int | None = None, error_rate: float = ERROR_RATE
) -> float:
    """Two-sided quantile at an error rate, Bonferroni over the comparisons.

    Student's t where the standard error is itself estimated from `freedom` + 1 prompts.
    """
    tail = error_rate / (2 * max(comparisons, 1))
    return float(norm.isf(tail) if freedom is None else student.isf(tail, freedom))


def _stack(sides: Sequence[Sides], error_rate: float) -> tuple[Tensor, Tensor, Tensor]:
    if not sides:
        return NOTHING
    sampled = sum(s.measured.numel() for s in sides if s.standard_error is not None)
    tolerance = [
        s.tolerance
        if s.standard_error is None
        else s.tolerance + critical_value(sampled, s.freedom, error_rate) * s.standard_error
        for s in sides
    ]
    columns = ([s.measured for s in sides], [s.predicted for s in sides], tolerance)
    measured, predicted, allowed = (torch.cat([t.reshape(-1) for t in c]) for c in columns)
    return measured, predicted, allowed


def _identity(measured: Tensor, predicted: Tensor, tolerance: Tensor) -> Tensor:
    return tolerance - (measured - predicted).abs()


def _bound(measured: Tensor, predicted: Tensor, tolerance: Tensor) -> Tensor:
    return predicted + tolerance - measured


def _sign(measured: Tensor, predicted: Tensor, tolerance: Tensor) -> Tensor:
    return measured * predicted.sign() + tolerance


def _counterexample(measured: Tensor, predicted: Tensor, tolerance: Tensor) -> Tensor:
    return -measured * predicted.sign() - tolerance


_SLACK = {
    "identity": _identity,
    "bound": _bound,
    "sign": _sign,
    "counterexample": _counterexample,
}


def _tightness(kind: Kind, attained: Tensor, predicted: Tensor) -> float | None:
    """How much of its bound the measured side reaches at least, rounding and noise taken off."""
    positive = predicted > 0
    if kind != "bound" or not bool(positive.any()):
        return None
    return float((attained[positive] / predicted[positive]).max())
