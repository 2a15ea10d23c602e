"""Forecasts of one update each and what happened, a row of points for every rung recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covlaw.records.constants import CLEAR
from covlaw.records.findings import stack
from covlaw.records.ladder import Array, array, audits, llm_runs
from covlaw.records.lines import read_records
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.calibration import Slope, calibration_slope

FILE = "calibration.jsonl"
COMPLETIONS = 100_000
"""More than an audit sums over: bounds its rounding."""
PREDICTORS = ("law", "clipped", "first_order", "exact_change")


class Points(NamedTuple):
    """One predictor's forecasts (n,) of a rung; the same points in the same order for each."""

    forecast: Array
    """What the predictor says: its expectation on an exact rung, else a sample's estimate."""
    forecast_error: Array
    """Standard error; 0 on an exact rung."""
    sampled: Array
    """What a finite sample says."""
    sampled_error: Array
    correlation: Array
    """Of the forecast's error and the change's; 0 on an exact rung."""


class Row(NamedTuple):
    """One rung: n points, an objective of an update each."""

    rung: str
    objectives: list[str]
    objective: NDArray[np.int64]
    """(n,) index of the objective."""
    update: NDArray[np.int64]
    """(n,) which update: its points are resampled together."""
    change: Array
    """(n,) what happened."""
    change_error: Array
    """Standard error; 0 by enumeration."""
    points: dict[str, Points]

    @property
    def exact(self) -> bool:
        """Whether what happened was enumerated."""
        return not self.change_error.any()

    @property
    def laws_agree(self) -> bool:
        """Whether law and clipped law are the same up to the rounding of sums over samples."""
        law, clipped = (self.points[name].forecast for name in ("law", "clipped"))
        allowed = float(rounding(float(np.abs(law).max(initial=0)), COMPLETIONS))
        return bool(np.abs(law - clipped).max(initial=0) <= allowed)

    def slope(self, predictor: str) -> Slope:
        """Slope of change on forecast, with an interval clustered by update; errors as recorded.

        On an exact rung nothing errs but the predictor, and the line is plain least squares.
        """
        own = self.points[predictor]
        error = np.ones_like(self.change) if self.exact else self.change_error
        columns = (own.forecast, self.change, own.forecast_error, error, own.correlation)
        known = np.isfinite(columns).all(0)
        x, y, x_error, y_error, shared = (v[known] for v in columns)
        cluster = self.update[known]
        return calibration_slope(x, y, x_error, y_error, cluster, correlation=shared)

    def signs(self, predictor: str) -> tuple[int, int]:
        """`(right, of)`: signs of the forecast, where that of the change is clear."""
        clear = np.abs(self.change) > CLEAR * self.change_error
        right = clear & (self.points[predictor].forecast * self.change > 0)
        return int(right.sum()), int(clear.sum())

    def within(self, predictor: str) -> tuple[int, int]:
        """`(met, of)`: changes that a sample's forecast meets within 2 of their errors."""
        own = self.points[predictor]
        allowed = CLEAR * np.hypot(own.sampled_error, self.change_error)
        known = np.isfinite(own.sampled + self.change + allowed)
        met = known & (np.abs(own.sampled - self.change) <= allowed)
        return int(met.sum()), int(known.sum())

    def bars(self, predictor: str, at: NDArray[np.intp]) -> tuple[Array, Array]:
        """± 2 standard errors at some points as one broken line `(x, y)`: NaN between the bars."""
        own, y = self.points[predictor], self.change[at]
        x, gap = own.sampled[at], np.full(len(at), np.nan)
        dx, dy = CLEAR * own.sampled_error[at], CLEAR * self.change_error[at]
        across = [(x - dx, x + dx, gap), (y, y, gap)]
        up = [(x, x, gap), (y - dy, y + dy, gap)]
        parts = [across] if self.exact else [across, up]
        line = [np.concatenate([np.stack(part[k], 1).ravel() for part in parts]) for k in (0, 1)]
        return line[0], line[1]


def rows(run: Path) -> list[Row]:
    """Read the rungs a run holds: the exact ones, then the LLM's audits."""
    return [*_exact_rows(read_records(run / FILE)), *_llm_row(run)]


def _exact_rows(records: list[dict[str, Any]]) -> Iterator[Row]:
    for rung in dict.fromkeys(str(r["rung"]) for r in records):
        own = [r for r in records if r["rung"] == rung]
        change = array([r["realised"] for r in own])
        points = {}
        for name in PREDICTORS:
            columns = (array([r[name][key] for r in own]) for key in ("exact", "estimate", "se"))
            exact, estimate, error = (c.ravel() for c in columns)
            nothing = np.zeros_like(exact)
            points[name] = Points(exact, nothing, estimate, error, nothing)
        yield _row(rung, own[0]["objectives"], change, np.zeros_like(change), points)


def _llm_row(run: Path) -> Iterator[Row]:
    found = audits(llm_runs(run))
    if not found:
        return
    change, error = stack(found, "measured")
    points = {}
    for name in PREDICTORS:
        estimate, its_error = (x.ravel() for x in stack(found, name))
        shared = np.concatenate([audit.correlation(name) for audit in found])
        points[name] = Points(estimate, its_error, estimate, its_error, shared)
    yield _row("llm", found[0].run.objectives, change, error, points)


def _row(
    rung: str, objectives: list[str], change: Array, error: Array, points: dict[str, Points]
) -> Row:
    update, objective = np.indices(change.shape).reshape(2, -1)
    return Row(rung, objectives, objective, update, change.ravel(), error.ravel(), points)
