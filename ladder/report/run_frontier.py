"""Where a run's first samples said that its weights lead, beside where it went."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from covlaw.ladder.report.filters import Shown, estimate
from covlaw.plugins.inspection.ahead import Point, base, look_ahead
from covlaw.plugins.logs.log import Log
from covlaw.records.ends import error_of_mean, window
from covlaw.records.ladder import Array, LlmRun
from covlaw.theory._numerics.errors import CovlawError

if TYPE_CHECKING:
    from torch import Tensor

BOX = 300.0, 200.0
"""Width and height of a picture."""
MARGIN = 10.0
MOST = 6
"""Strengths in the table; the pictures have them all."""


class Row(NamedTuple):
    """A strength of the tilt, or an end of the run."""

    label: str
    kl: float | None
    cells: list[Shown]


class Panel(NamedTuple):
    """The first objective against another: the frontier's line and the run's."""

    of: str
    name: str
    frontier: str
    run: str
    end: tuple[float, float]
    ranges: tuple[float, float, float, float]
    """Left, right, bottom, top."""


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
    changes = zip(tilts[-1].change, tilts[-1].change_error, run.ends.change, run.ends.noise,
                  strict=True)  # fmt: skip
    both = [a * b > 0 for a, error, b, noise in changes if abs(a) > 2 * error and abs(b) > noise]
    everywhere = run.column("weights")
    return RunFrontier(
        weights,
        len(start.prompt),
        len(torch.unique(start.prompt)),
        [*_tilted(tilts), *_ends(run)],
        _panels(run, tilts),
        sum(both),
        len(both),
        bool((np.ptp(everywhere, axis=0) > 0).any()),
        window(len(run.steps)),
    )


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


def _panels(run: LlmRun, tilts: Sequence[Point]) -> list[Panel]:
    width = window(len(run.steps))
    flat = np.ones(width) / width
    means = run.column("reward_mean")
    path = np.stack([np.convolve(column, flat, "valid") for column in means.T], 1)
    ahead = np.array([point.values for point in tilts])
    names = run.objectives
    return [
        _panel((names[0], names[k]), ahead[:, (0, k)], path[:, (0, k)])
        for k in range(1, len(names))
    ]


def _panel(names: tuple[str, str], ahead: Array, path: Array) -> Panel:
    both = np.concatenate([ahead, path])
    low, high = np.nanmin(both, 0), np.nanmax(both, 0)
    span = np.where(high > low, high - low, 1.0)

    def placed(points: Array) -> list[tuple[float, float]]:
        share = (points - low) / span
        across, up = (size - 2 * MARGIN for size in BOX)
        return [(MARGIN + across * x, BOX[1] - MARGIN - up * y) for x, y in share]

    def line(points: Array) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in placed(points))

    x, y = placed(path[-1:])[0]
    ends = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return Panel(names[0], names[1], line(ahead), line(path), (round(x, 1), round(y, 1)), ends)
