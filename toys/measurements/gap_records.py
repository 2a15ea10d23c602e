"""How a run's gaps and their bounds are recorded: thinned to times that a picture resolves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

POINTS = 40


def record(
    panel: str,
    case: str,
    gap: Tensor,
    bounds: Mapping[str, Tensor],
    tolerance: float,
    first: int = 0,
) -> dict[str, Any]:
    """Return one run's record: every bound's nearest approach, and both sides at some times.

    Args:
        panel: Kind of problem.
        case: Which of its runs.
        gap: (T,) δ_t.
        bounds: (T,) each, by whose they are: classic, improved, ours, or false.
        tolerance: What rounding may add to a gap, relative to it.
        first: t of the first entry.
    """
    even = (
        np.linspace(0, len(gap) - 1, POINTS)
        if first == 0
        else np.geomspace(1, len(gap), POINTS) - 1
    )
    times = np.unique(even.round().astype(int))
    own = gap.double()
    start = 1 - first  # at t = 0 some bounds are the gap itself
    return {
        "panel": panel,
        "case": case,
        "step": (times + first).tolist(),
        "gap": own[times].tolist(),
        "bounds": {name: bound.double()[times].tolist() for name, bound in bounds.items()},
        "least_ratio": {n: float((b.double() / own)[start:].min()) for n, b in bounds.items()},
        "n": len(gap) - start,
        "tolerance": tolerance,
    }
