"""Objectives that a run lowered for certain, and how far ahead the law said so."""

from collections.abc import Iterator
from math import hypot, isfinite
from typing import NamedTuple

import numpy as np
import torch

from covlaw.records.alarms import lead_time
from covlaw.records.constants import BASELINE, CERTAIN, PREDICTIONS
from covlaw.records.ends import window
from covlaw.records.verdict.horizons import difference
from covlaw.records.verdict.rows import Estimate, Run


class Fall(NamedTuple):
    """One objective that ended lower than it began."""

    run: str
    objective: str
    change: Estimate
    """Mean of the last steps minus mean of the first."""
    step: int
    """At which the reward curve itself shows the fall: the mean of the last few steps, this one
    included, lies 3 standard errors below that of the first ones."""
    lost: float
    """Share of what the objective had to lose that is gone."""
    sacrificed: bool
    """Whether that is too much (`records.ends`); a fall may be certain and small."""
    lead: dict[str, int | None]
    """By prediction, and by the baseline, how many steps before that it announced the fall; None:
    it did not."""


def falls(run: Run) -> Iterator[Fall]:
    """Yield the certain falls of a run: the end lies 3 standard errors below the start.

    An announcement is a fall beyond 3 standard errors at an audit, since the objective's last peak
    (`records.alarms.lead_time`). The mean reward of a short conciseness-like reward is judged
    against a moving mean length, and so is its fall.
    """
    width, ends = window(len(run.values)), run.ends
    for j in np.flatnonzero(ends.fallen).tolist():
        objective = run.objectives[j]
        levels = _levels([values[j] for values in run.values], width)
        first = next((level for level in levels if isfinite(level.error)), levels[0])
        below = [_certain(difference(level, first)) for level in levels]
        shown = below.index(True) if True in below else len(below) - 1  # where lines are missing
        yield Fall(
            run.name,
            objective,
            Estimate(float(ends.change[j]), float(ends.error[j])),
            shown + width - 1,
            float(ends.lost[j]),
            bool(ends.sacrificed[j]),
            {n: _lead(run, n, objective, levels, below) for n in (*PREDICTIONS, BASELINE)},
        )


def _levels(values: list[Estimate], width: int) -> list[Estimate]:
    """Means of `width` steps from each step on."""
    parts = [values[start : start + width] for start in range(len(values) - width + 1)]
    return [
        Estimate(sum(v.value for v in part) / width, hypot(*(v.error for v in part)) / width)
        for part in parts
    ]


def _certain(change: Estimate) -> bool:
    return change.value < -CERTAIN * change.error


def _lead(
    run: Run, name: str, objective: str, levels: list[Estimate], below: list[bool]
) -> int | None:
    raised = torch.zeros(len(run.values), dtype=torch.bool)
    for pair in run.audits:
        if pair.objective == objective:
            raised[pair.step] = _certain(pair.of(name))
    path = torch.tensor([level.value for level in levels], dtype=torch.float64)
    width = len(run.values) - len(levels) + 1
    found = lead_time(path, raised[:-1], torch.tensor(below), width)
    return None if found != found else int(found)
