"""What is asked of a run beside its verdict: room for targets, and groups for a precision."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import torch

from covlaw.plugins.inspection.ahead import Base
from covlaw.plugins.inspection.groupings import Tally
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.headroom import Headroom, headroom, most_demanding
from covlaw.theory.estimators.prompt_covariances import prompt_covariances


class Room(NamedTuple):
    """Whether non-negative weights reach targets, from the last samples (T35, T36)."""

    targets: list[float]
    """(M,) least covariance of each reward with the group-std advantage, in units of reward."""
    found: Headroom
    sentence: str


class Needed(NamedTuple):
    """Completions a prompt for a standard error of one step's law (T21)."""

    precision: float
    groups: float
    """A step, as logged."""
    completions: list[int | None]
    """(M,); None: no group is large enough, prompts differ too much for so few of them."""


def room_for(start: Base | None, targets: Sequence[float], names: Sequence[str]) -> Room:
    """Headroom t* of targets: the factor by which they could grow.

    Raises:
        CovlawError: where targets do not fit the rewards, or no groups are large enough.
    """
    if len(targets) != len(names) or not all(isfinite(t) and t >= 0 for t in targets):
        raise CovlawError(
            f"targets {list(targets)} for the rewards {', '.join(names)}: give one number ≥ 0 "
            "each, in this order; 0 asks nothing"
        )
    if not any(targets):
        raise CovlawError("all targets are 0, which asks nothing: give one above 0 (--targets)")
    if start is None:
        raise CovlawError("targets need two groups of four completions that know every reward")
    asked = torch.as_tensor(list(targets), dtype=torch.float64)
    found = headroom(prompt_covariances(start.rewards, start.prompt), asked)
    return Room(asked.tolist(), found, most_demanding(found, asked, names))


def needed_for(tally: Tally, precision: float, steps: int) -> Needed:
    """Least K with [b + a/K + p/(K(K − 1))]/P ≤ precision², each reward for itself.

    b is the variance between prompts, a and p those within (T21), P the groups of a step.

    Raises:
        CovlawError: on a precision that is no number above 0.
    """
    if not (isfinite(precision) and precision > 0):
        raise CovlawError(f"precision {precision}: give a standard error above 0 (--precision)")
    groups = tally.groups / steps
    between, within, product = tally.variances()
    left = (groups * precision**2 - between).tolist()
    rows = zip(left, within.tolist(), product.tolist(), strict=True)
    return Needed(precision, groups, [_least(*row) for row in rows])


def _least(left: float, within: float, product: float) -> int | None:
    """Smallest K ≥ 2 with within/K + product/(K(K − 1)) ≤ left."""
    if not left > 0 or not isfinite(within + product):
        return None
    # left·K² − (left + within)·K + within − product ≥ 0, beyond its larger root
    half = (left + within) / (2 * left)
    root = half + max(half**2 - (within - product) / left, 0.0) ** 0.5
    return max(2, -int(-root // 1)) if isfinite(root) else None
