"""Pictures of where a run's weights lead and where it went: lines in two objectives each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from covlaw.plugins.inspection.ahead import Point
from covlaw.records.ends import window
from covlaw.records.ladder import Array, LlmRun

BOX = 300.0, 200.0
"""Width and height of a picture."""
MARGIN = 10.0


class Panel(NamedTuple):
    """The first objective against another: the frontier's line and the run's."""

    of: str
    name: str
    frontier: str
    run: str
    end: tuple[float, float]
    ranges: tuple[float, float, float, float]
    """Left, right, bottom, top."""


def panels_of(run: LlmRun, tilts: Sequence[Point]) -> list[Panel]:
    """The tilt and the run, as means over some steps: the first objective against each other."""
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
