"""Interference, defined once: what training took from an objective, and who could have had more.

J_j(t) is the value of objective j after t steps, J_j(0) where training starts. Values are compared
with what is attainable: a *floor* b_j (the worst) and a *ceiling* a_j (the best), so that rewards
may be shifted and scaled without changing any measure.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.validation import MASS_TOLERANCE
from covlaw.theory.estimators.pareto import dominated, hypervolume

SACRIFICE = 0.1
"""An objective counts as sacrificed where it loses more than this share of what it had to lose."""


class Interference(NamedTuple):
    """What one run did to its objectives."""

    start: Tensor
    """(M,) J_j(0), in units of reward."""
    end: Tensor
    """(M,) J_j(T)."""
    best: Tensor
    """(M,) max_t J_j(t)."""
    regression: Tensor
    """(M,) in [0, 1], see `regression`."""
    sacrificed: Tensor
    """(M,) bool, see `sacrificed`."""
    dominated_earlier: bool
    """Whether a policy visited earlier is nowhere worse than the final one, and somewhere better:
    training went on for nothing."""
    hypervolume: float
    """In [0, 1]: share of the box from floor to ceiling that the final policy dominates."""
    hypervolume_start: float
    """The same of the policy that training started from."""
    hypervolume_visited: float
    """The same of all policies visited: what picking among them could add."""


class Attainable(NamedTuple):
    """The range of each objective."""

    floor: Tensor
    """(M,) its worst attainable value; 0 for rewards in [0, 1] such as accuracy."""
    ceiling: Tensor
    """(M,) its best attainable value."""


def regression(values: Tensor, start: Tensor, floor: Tensor) -> Tensor:
    """Relative regression below the start: (..., M), in [0, 1].

    max(0, J_j(0) − J_j)/(J_j(0) − b_j): 0 where the objective did not fall, 1 where all was lost.
    With b = 0 it is 1 − J_j/J_j(0), the usual relative regression. An objective that starts at its
    floor has nothing to lose: 0.

    Args:
        values: (..., M) J_j.
        start: (M,) J_j(0).
        floor: (M,) b_j ≤ both.
    """
    room = start - floor
    lost = (start - values).clamp(min=0.0)
    return torch.where(room > 0, (lost / torch.where(room > 0, room, 1.0)).clamp(max=1.0), 0.0)


def sacrificed(
    end: Tensor,
    start: Tensor,
    floor: Tensor,
    noise: Tensor | float = 0.0,
    threshold: float = SACRIFICE,
) -> Tensor:
    """Whether an objective was sacrificed: (..., M) bool.

    It ends more than `threshold` of what it had to lose below its start, (J_j(0) − J_j)/(J_j(0) −
    b_j) > threshold; and, where values are sampled, the fall exceeds its noise, J_j(0) − J_j >
    noise_j. Enumerated values have none.

    Args:
        end: (..., M) J_j(T).
        start: (M,) J_j(0).
        floor: (M,) b_j ≤ both.
        noise: Size of a fall that sampling alone may show, in units of reward; for the ends of a
            sampled run see `covlaw.records.ends`.
        threshold: Share of what it had to lose.
    """
    return (regression(end, start, floor) > threshold) & (start - end > noise)


def interference(
    values: Tensor,
    attainable: Attainable,
    threshold: float = SACRIFICE,
    window: int = 1,
    margin: Tensor | float = 0.0,
    noise: Tensor | float = 0.0,
) -> Interference:
    """Judge one run by the values of its objectives along the way.

    Args:
        values: (T, M) J_j(0), …, J_j(T − 1), T ≥ 2.
        attainable: Floor and ceiling of each objective; all values lie between them.
        threshold: Regression above which an objective is sacrificed, in [0, 1).
        window: Sampled values are noisy: start and end are means over so many rows.
        margin: How much better an earlier policy has to be to dominate (see `pareto.dominates`):
            the rounding or the sampling error of a value.
        noise: Fall between start and end that sampling alone may show (see `sacrificed`).

    Raises:
        CovlawError: on shapes that do not fit, values that are not finite or lie outside the
            attainable range, a threshold outside [0, 1), or a window longer than half the run.
    """
    path, floor, ceiling = checked_values(values, attainable)
    if not 0 <= threshold < 1:
        raise CovlawError(f"threshold is {threshold}: use a share in [0, 1)")
    if not 1 <= window <= path.shape[0] // 2:
        raise CovlawError(
            f"window is {window} for {path.shape[0]} rows: use 1 to half of them, so that start "
            "and end are different policies"
        )
    start, end = path[:window].mean(0), path[-window:].mean(0)
    size = ceiling - floor
    scaled = (path - floor) / torch.where(size > 0, size, 1.0)
    scaled[:, size <= 0] = 1.0  # a constant objective neither adds volume nor takes it
    zero = torch.zeros_like(floor)
    sets = (scaled[-window:].mean(0), scaled[:window].mean(0), scaled)
    return Interference(
        start,
        end,
        path.amax(0),
        regression(end, start, floor),
        sacrificed(end, start, floor, noise, threshold),
        bool(dominated(end, path[:-window], margin)),
        *(hypervolume(points, zero) for points in sets),
    )


def checked_values(values: Tensor, attainable: Attainable) -> tuple[Tensor, Tensor, Tensor]:
    """Return `(values, floor, ceiling)` as float64, or say what does not fit.

    Values may leave the range by as much as probabilities may miss 1 (`MASS_TOLERANCE`).
    """
    path = as_float64(values, "values")
    floor, ceiling = (as_float64(x, n) for x, n in zip(attainable, Attainable._fields, strict=True))
    if path.ndim != 2 or path.shape[0] < 2 or not floor.shape == ceiling.shape == path.shape[1:]:
        raise CovlawError(
            f"values {tuple(path.shape)}, floor {tuple(floor.shape)}, ceiling "
            f"{tuple(ceiling.shape)}: give (T, M) with T ≥ 2 rows, and (M,) twice"
        )
    slack = MASS_TOLERANCE * torch.maximum(floor.abs(), ceiling.abs())
    outside = ~torch.isfinite(path) | (path < floor - slack) | (path > ceiling + slack)
    if bool(outside.any()):
        row, objective = (int(i) for i in outside.nonzero()[0])
        raise CovlawError(
            f"objective {objective} is {path[row, objective].item():g} at row {row}, outside "
            f"[{floor[objective].item():g}, {ceiling[objective].item():g}]: mend the values or the "
            "attainable range"
        )
    return path, floor, ceiling
