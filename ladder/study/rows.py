"""From a run's course to its row: every setting a column, every measure by objective."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.ladder.study.budgets import budget_columns
from covlaw.ladder.study.plan import StudyRun
from covlaw.records.alarms import AlarmCounts, lead_times
from covlaw.records.schema.versions import STUDY
from covlaw.theory.estimators.interference import Attainable, interference
from covlaw.toys.study.algorithms import REFERENCE, find_algorithm

MARGIN = 0.01
"""A policy dominates another only if it is better somewhere by this share of the attainable range:
policies that converge to the same corner differ by less."""


class Record(NamedTuple):
    """One run, as its world recorded it."""

    objectives: tuple[str, ...]
    values: Tensor
    """(T, M) J_j, from the start on."""
    attainable: Attainable
    alarms: Tensor
    """(T − 1, M) bool."""
    counts: AlarmCounts
    weights: Tensor
    """(M,), NaN where there are none."""
    window: int = 1
    """Rows averaged at either end."""
    noise: Tensor | float = 0.0
    """Fall between the ends that sampling alone may show (`records.ends`), in units of reward."""
    divergence: Tensor | None = None
    """(T,) KL from the start, where it is known."""
    room: Tensor | None = None
    """(places,) distance to the frontier at equal KL (`budgets.rooms`), where it is known."""


def settings_of(run: StudyRun, cell: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The settings of a run, a column each."""
    return {
        "schema": STUDY,
        "run": run.name,
        "world": run.world,
        "cell": run.cell,
        **cell,
        "seed": run.seed,
        "algorithm": run.algorithm,
        "scalarizer": find_algorithm(run.algorithm).scalarizer,
        "reference": run.algorithm.endswith(REFERENCE),
        "signal": run.signal,
        "clip": run.clip,
        "optimiser": run.optimiser,
        "guard": run.guard,
        "samples": run.samples,
        "steps": steps,
    }


def failed(settings: dict[str, Any], reason: str) -> dict[str, Any]:
    """The row of a run that stopped."""
    return settings | {"error": reason}


def measured(settings: dict[str, Any], record: Record) -> dict[str, Any]:
    """The row of a run that went through; lists have one entry an objective."""
    floor, ceiling = record.attainable
    size = ceiling - floor
    margin = torch.maximum(MARGIN * size, torch.as_tensor(record.noise).minimum(size))
    found = interference(
        record.values, record.attainable, window=record.window, margin=margin, noise=record.noise
    )
    lead = lead_times(record.values, record.alarms, record.attainable)
    lists = {
        "start": found.start,
        "end": found.end,
        "best": found.best,
        "floor": floor,
        "ceiling": ceiling,
        "margin": margin,
        "regression": found.regression,
        "sacrificed": found.sacrificed,
        **record.counts._asdict(),
        "lead_time": lead,
        "weights": record.weights,
    }
    return {
        **settings,
        "error": None,
        "objectives": list(record.objectives),
        **{name: value.tolist() for name, value in lists.items()},
        "dominated_earlier": found.dominated_earlier,
        "hypervolume": found.hypervolume,
        "hypervolume_start": found.hypervolume_start,
        "hypervolume_visited": found.hypervolume_visited,
        **budget_columns(record.values, record.divergence, record.attainable, record.room),
    }
