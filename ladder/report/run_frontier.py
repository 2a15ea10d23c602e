"""Where a run's first samples said that its weights lead, beside where it went."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from covlaw.ladder.report.filters import Shown, estimate
from covlaw.ladder.report.frontier_panels import Panel, panels_of
from covlaw.plugins.inspection.ahead import Point, base, look_ahead
from covlaw.plugins.logs.log import Log
from covlaw.records.constants import CLEAR
from covlaw.records.ends import error_of_mean, window
from covlaw.records.ladder import LlmRun
from covlaw.theory._numerics.errors import CovlawError

if TYPE_CHECKING:
    from torch import Tensor

MOST = 6
"""Strengths in the table; the pictures have them all."""


class Row(NamedTuple):
    """A strength of the tilt, or an end of the run."""

    label: str
    kl: float | None
    cells: list[Shown]


class RunFrontier(NamedTuple):
    """What a page shows of it."""

    weights: list[float]
    completions: int
    prompts: int
    rows: list[Row]
    panels: list[Panel]
    right: int
    """Objectives whose sign of change at the frontier's end is the run's, of those that moved."""
    moved: int
    adaptive: bool
    """Whether the weights changed on the way."""
    smoothed: int
    """Steps of a mean on the run's line."""


def run_frontier(folder: Path, run: LlmRun) -> RunFrontier | None:
    """Tilt the samples of a run's first audit along its first weights (T56, T57).

    None where there are none: an audit's arrays are kept in the run's folder, not in records.

    Raises:
        CovlawError: if the audit's file is damaged.
    """
    path = folder / "audits" / "step_00000.safetensors"
    first = run.steps[0]
    weights = first.get("weights")
    if not path.is_file() or first["step"] != 0 or weights is None or None in weights:
        return None
    found = _arrays(path)
    if found is None:
        return None
    prompt, rewards = found
    start = base(Log(torch.zeros_like(prompt), prompt, rewards, tuple(run.objectives), ()))
    if start is None or not any(weights):
        return None
    tilts = look_ahead(start, torch.tensor(weights, dtype=torch.float64)).tilts
    if len(tilts) < 2:
        return None
    both = _agreements(tilts[-1], run)
    everywhere = run.column("weights")
    return RunFrontier(
        weights,
        len(start.prompt),
        len(torch.unique(start.prompt)),
        [*_tilted(tilts), *_ends(run)],
        panels_of(run, tilts),
        sum(both),
        len(both),
        bool((np.ptp(everywhere, axis=0) > 0).any()),
        window(len(run.steps)),
    )


def _agreements(end: Point, run: LlmRun) -> list[bool]:
    """Of each objective that clearly moves in both: whether the tilt's end has the run's sign."""
    ahead = zip(end.change, end.change_error, strict=True)
    went = zip(run.ends.change, run.ends.noise, strict=True)
    return [
        a * b > 0
        for (a, error), (b, noise) in zip(ahead, went, strict=True)
        if abs(a) > CLEAR * error and abs(b) > noise
    ]


def _arrays(path: Path) -> "tuple[Tensor, Tensor] | None":
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:  # the core alone
        return None
    try:
        arrays = load_file(path)
        return arrays["prompt"], arrays["rewards"]
    except (SafetensorError, KeyError, OSError) as error:
        raise CovlawError(
            f"{path} is damaged ({error}): move it away to have the page without its frontier"
        ) from error


def _tilted(tilts: Sequence[Point]) -> list[Row]:
    places = np.unique(np.linspace(0, len(tilts) - 1, MOST).round().astype(int))
    return [
        Row(
            "its samples" if not tilts[k].at else f"tilt {tilts[k].at:.3g}",
            tilts[k].kl,
            [
                estimate(*pair)
                for pair in zip(tilts[k].values, tilts[k].standard_error, strict=True)
            ],
        )
        for k in places
    ]


def _ends(run: LlmRun) -> list[Row]:
    width = window(len(run.steps))
    errors = run.column("reward_se")
    rows = []
    for label, values, part in (
        ("the run's start", run.ends.start, errors[:width]),
        ("the run's end", run.ends.end, errors[-width:]),
    ):
        error = error_of_mean(part, width)
        rows.append(Row(label, None, [estimate(*p) for p in zip(values, error, strict=True)]))
    return rows
