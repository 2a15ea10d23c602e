"""Objectives that a run lowered for certain, and how far ahead the law said so."""

from collections.abc import Iterator
from math import hypot
from typing import NamedTuple

import torch

from covlaw.records.alarms import lead_time
from covlaw.records.verdict.horizons import difference
from covlaw.records.verdict.rows import CERTAIN, FORECASTS, Estimate, Run

WINDOW = 5
"""Steps that a level is averaged over, at most half of the run."""


class Fall(NamedTuple):
    """One objective that ended lower than it began."""

    run: str
    objective: str
    change: Estimate
    """Mean of the last steps minus mean of the first."""
    step: int
    """At which the reward curve itself shows the fall: the mean of the last few steps, this one
    included, lies 3 standard errors below that of the first ones."""
    lead: dict[str, int | None]
    """By forecast, how many steps before that it announced the fall; None: it did not."""


def falls(run: Run) -> Iterator[Fall]:
    """Yield the certified falls of a run: the last level is 3 standard errors below the first.

    An announcement is a certified fall (T21) at an audit, since the objective's last peak
    (`theory.alarms.lead_time`). The mean reward of a short conciseness-like reward is judged
    against a moving mean length, and so is its fall.
    """
    window = min(WINDOW, len(run.values) // 2)
    if not window:
        return
    for j, objective in enumerate(run.objectives):
        levels = _levels([values[j] for values in run.values], window)
        lost = [_certain(difference(level, levels[0])) for level in levels]
        if lost[-1]:
            lead = {name: _lead(run, name, objective, levels, lost) for name in FORECASTS}
            shown = lost.index(True) + window - 1
            yield Fall(run.name, objective, difference(levels[-1], levels[0]), shown, lead)


def _levels(values: list[Estimate], window: int) -> list[Estimate]:
    """Means of `window` steps from each step on."""
    parts = [values[start : start + window] for start in range(len(values) - window + 1)]
    return [
        Estimate(sum(v.value for v in part) / window, hypot(*(v.error for v in part)) / window)
        for part in parts
    ]


def _certain(change: Estimate) -> bool:
    return change.value < -CERTAIN * change.error


def _lead(
    run: Run, forecast: str, objective: str, levels: list[Estimate], lost: list[bool]
) -> int | None:
    raised = torch.zeros(len(run.values), dtype=torch.bool)
    for pair in run.audits:
        if pair.objective == objective:
            raised[pair.step] = _certain(pair.forecasts[forecast])
    path = torch.tensor([level.value for level in levels], dtype=torch.float64)
    window = len(run.values) - len(levels) + 1
    found = lead_time(path, raised[:-1], torch.tensor(lost), window)
    return None if found != found else int(found)
