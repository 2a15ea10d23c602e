"""Guarded steps judged by what they do to the exact values: halved, or paid for (T60)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from covlaw.theory.guard.control import MARGIN
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.projection import Projected, projected
from covlaw.toys.study.supply import Snapshot, values_at

ROUNDS, JUDGMENTS = 4, 10
"""Solutions of a step, and how often it is judged, at most."""


@dataclass(frozen=True)
class Steps:
    """R finished steps and what is known of their objectives."""

    ensemble: PolicyEnsemble
    old: Snapshot
    step: Tensor
    """(R, D)."""
    gradients: Tensor
    """(R, M, D)."""
    metric: Tensor
    """(R, D)."""
    gram: Tensor
    """(R, M, M); NaN where it is the gradients' own."""

    def project(self, rows: Tensor, floor: Tensor) -> Projected:
        """Guard some of the steps, floors (rows, M)."""
        step, given, metric = self.step[rows], self.gradients[rows], self.metric[rows]
        return projected(step, given, metric, floor, self.gram[rows])

    def change(self, rows: Tensor, step: Tensor) -> Tensor:
        """J_j after some steps less J_j before: (rows, M)."""
        old = self.old.values[rows]
        new = values_at(self.ensemble.rows(rows), self.old.theta[rows] + step)
        noise = 2.0**-44 * old.abs().amax(1, keepdim=True)
        return torch.where((new - old).abs() <= noise, 0.0, new - old)


def controlled(steps: Steps, floor: Tensor, control: Sequence[str]) -> Tensor:
    """Guard every step; then do about those that lower an objective what their control says.

    Curvature: raise the floors of those that fell by what bending took, g_j·u* − Δ_j, and solve
    again, at most `ROUNDS` solutions; what still falls is halved, as with halving alone.

    Args:
        steps: R of them.
        floor: (R, M).
        control: R names, see `guards.Guard`.
    """
    every = torch.arange(len(steps.step))
    found = steps.project(every, floor)
    moved, effects, floors = found.step.clone(), found.effects.clone(), floor.clone()
    judged = torch.tensor(
        [k for k, name in enumerate(control) if name != "none"], dtype=torch.int64
    )
    bending = torch.tensor([name == "curvature" for name in control])
    for k in range(JUDGMENTS):
        if not len(judged):
            break  # nothing falls
        change = steps.change(judged, moved[judged])
        fell = change < 0
        some = fell.any(1)
        judged, change, fell = judged[some], change[some], fell[some]
        pays = bending[judged] if k < ROUNDS - 1 else torch.zeros_like(judged, dtype=torch.bool)
        paying = judged[pays]
        if len(paying):
            bend = MARGIN * (effects[paying] - change[pays]).clamp(min=0.0)
            floors[paying] = torch.where(fell[pays], floors[paying].maximum(bend), floors[paying])
            again = steps.project(paying, floors[paying])
            moved[paying], effects[paying] = again.step, again.effects
        moved[judged[~pays]] /= 2
    return moved
