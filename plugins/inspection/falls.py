"""Reward curves: who fell between the ends of a log, and how early an alarm said so."""

from typing import NamedTuple

import numpy as np
import torch

from covlaw.plugins.inspection.scan import Scan, StepLaw
from covlaw.records.alarms import lead_time
from covlaw.records.constants import CERTAIN
from covlaw.records.ends import run_ends, window


class Fall(NamedTuple):
    """A reward that ended lower than it began, for certain."""

    reward: int
    start: float
    end: float
    error: float
    """Standard error of the difference."""
    sacrificed: bool
    """Whether it lost more than a tenth of what it had to lose (`records.ends`)."""
    step: int
    """At which the curve shows it."""
    lead: int | None
    """Logged steps before that of the first alarm since the last peak; None: no alarm."""


def falls(scan: Scan) -> list[Fall]:
    """Every certain fall of a log of at least four steps."""
    laws = scan.laws
    if len(laws) < 4:
        return []
    means = np.array([law.mean.tolist() for law in laws])
    errors = np.array([law.mean_error.tolist() for law in laws])
    ends = run_ends(means, errors, scan.tally.least.numpy())
    return [
        Fall(
            int(j),
            float(ends.start[j]),
            float(ends.end[j]),
            float(ends.error[j]),
            bool(ends.sacrificed[j]),
            *_announced(laws, means[:, j], errors[:, j], int(j)),
        )
        for j in np.flatnonzero(ends.fallen)
    ]


def _announced(
    laws: list[StepLaw], means: np.ndarray, errors: np.ndarray, j: int
) -> tuple[int, int | None]:
    width = window(len(laws))
    ones = np.ones(width) / width
    level = np.convolve(means, ones, "valid")
    noise = np.sqrt(np.convolve(errors**2, ones / width, "valid"))
    below = level - level[0] < -CERTAIN * np.hypot(noise, noise[0])
    below[0] = False
    if not below.any():
        return laws[-1].step, None
    alarms = torch.tensor([bool(law.alarm[j]) for law in laws[:-1]])
    lead = lead_time(torch.as_tensor(level), alarms, torch.as_tensor(below), width)
    shown = int(np.flatnonzero(below)[0]) + width - 1
    return laws[shown].step, None if lead != lead else int(lead)
