"""One world of conflicting objectives in which every algorithm gives one away, unless guarded."""

from dataclasses import replace

import pytest
import torch

from covlaw.ladder.study.guard_plan import GUARDED
from covlaw.toys.study.algorithms import Setting, find_algorithm
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import train_ensemble
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.supply import snapshot
from covlaw.toys.study.worlds import WORLDS, adamw

LOST = 0.01
"""Of rewards in [0, 1], from where on one counts as lost; the least here is twice that."""


@pytest.fixture(scope="module")
def changes() -> dict[str, torch.Tensor]:
    """What 20 batches change: (8 algorithms, 3 objectives), unguarded and guarded."""
    transformers = WORLDS["transformer"]
    world = transformers.build(transformers.cells[0], [0]).rows(torch.zeros(16, dtype=torch.int64))
    world = replace(world, optimiser=adamw(0.01))
    arms = [arm(world, name, guard) for guard in ("none", "guard-curvature") for name in GUARDED]
    course = train_ensemble(world, arms, transformers.steps, transformers.inner)
    assert not any(course.errors)
    moved = course.values[-1] - course.values[0]
    return {"unguarded": moved[:8], "guarded": moved[8:]}


def arm(world: PolicyEnsemble, name: str, guard: str) -> Arm:
    start = snapshot(world, world.theta).values[0].tolist()
    scalarizer = find_algorithm(name).make(Setting(world.names, "grpo", start))
    return Arm(scalarizer, "grpo", "on", guard)


def test_every_unguarded_algorithm_loses_an_objective(changes: dict[str, torch.Tensor]) -> None:
    assert (changes["unguarded"].amin(1) < -LOST).all()


def test_no_guarded_algorithm_loses_one_and_each_gains(changes: dict[str, torch.Tensor]) -> None:
    assert (changes["guarded"].amin(1) > 0).all()
    assert (changes["guarded"].sum(1) > 0.1).all()
