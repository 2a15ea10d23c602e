"""Runs at equal KL from where they started, so that the larger step is not the worse algorithm."""

from typing import Any

import torch
from torch import Tensor

from covlaw.theory.estimators.interference import Attainable, regression, sacrificed
from covlaw.toys.study.engine import Course
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.frontier import room, start_of

BUDGETS = (0.03, 0.1, 0.3, 1.0)
"""KL(π_t ‖ π_0), mean over prompts, in nats."""
END = "end"
PLACES = (*(f"{budget:g}" for budget in BUDGETS), END)
"""Where runs are compared."""


def at_budget(values: Tensor, divergence: Tensor, budget: float) -> Tensor | None:
    """J_j where KL first reaches a budget: (M,); None where it never does.

    Between two steps by interpolation, linear in √KL, which grows as the distance does.

    Args:
        values: (T, M) J_j(0), J_j(1), …
        divergence: (T,) KL of each from the first, which is 0.
        budget: In nats.
    """
    reached = (divergence >= budget).nonzero()
    if not len(reached):
        return None
    after = int(reached[0, 0])
    before, root = after - 1, divergence.sqrt()
    share = (budget**0.5 - root[before]) / (root[after] - root[before])
    found: Tensor = values[before] + share * (values[after] - values[before])
    return found


def budget_columns(
    values: Tensor,
    divergence: Tensor | None,
    attainable: Attainable,
    room: Tensor | None = None,
) -> dict[str, Any]:
    """For each budget: end, what was sacrificed there, hypervolume and room; None where unreached.

    `room` (one for each of `PLACES`) is that at the end.
    """
    rooms = [None] * len(PLACES) if room is None else room.tolist()
    found: dict[str, Any] = {} if divergence is None else {"divergence": float(divergence[-1])}
    found["room"] = rooms[-1]
    for budget, here in zip(BUDGETS, rooms[:-1], strict=True):
        at = None if divergence is None else at_budget(values, divergence, budget)
        lost = volume = worst = None
        if at is not None:
            lost = sacrificed(at, values[0], attainable.floor).tolist()
            worst = regression(at, values[0], attainable.floor).tolist()
            volume = _volume(at, attainable)
        found |= {
            f"end_{budget:g}": None if at is None else at.tolist(),
            f"sacrificed_{budget:g}": lost,
            f"regression_{budget:g}": worst,
            f"hypervolume_{budget:g}": volume,
            f"room_{budget:g}": None if at is None else here,
        }
    return found


def rooms(ensemble: PolicyEnsemble, course: Course) -> Tensor:
    """Room of every run (`covlaw.toys.study.frontier`) at each of `PLACES`: (R, places).

    A budget that a run does not reach has NaN. Between two steps the values are interpolated, as
    `at_budget` does; no policy has them, and the frontier bends away from the chord.
    """
    start = start_of(ensemble)
    values, divergence = course.values.unbind(1), course.divergence.unbind(1)
    nowhere = torch.full_like(values[0][0], torch.nan)
    found = []
    for budget in BUDGETS:
        reached = [at_budget(*run, budget) for run in zip(values, divergence, strict=True)]
        here = torch.stack([nowhere if at is None else at for at in reached])
        found.append(room(ensemble, start, here, torch.full_like(here[:, 0], budget)))
    found.append(room(ensemble, start, course.values[-1], course.divergence[-1]))
    return torch.stack(found, 1)


def _volume(at: Tensor, attainable: Attainable) -> float:
    """Share of the attainable box that one policy dominates."""
    size = attainable.ceiling - attainable.floor
    share = torch.where(size > 0, (at - attainable.floor) / torch.where(size > 0, size, 1.0), 1.0)
    return float(share.clamp(min=0.0).prod())
