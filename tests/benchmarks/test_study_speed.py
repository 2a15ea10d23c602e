"""Bandit runs of the study trained side by side, as a ratio to the same runs one after another.

CPU time, best of interleaved rounds, so that a busy machine hurts both sides alike.
"""

import pytest
import torch
from timing import cpu_seconds

from covlaw.theory.scalarizers import make_scalarizer
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import train_ensemble
from covlaw.toys.study.worlds import WORLDS

pytestmark = pytest.mark.benchmark

RUNS, ALONE, STEPS = 1000, 4, 20


def test_bandits_side_by_side_are_fifty_times_faster_than_one_by_one() -> None:
    """And 10,000 runs of 500 steps, 5 million run-steps, take at most a minute of one core."""
    world = WORLDS["bandit"]
    drawn = world.build(world.cells[0], range(8))
    arm = Arm(make_scalarizer("linear", drawn.names), "grpo", "on")
    together = drawn.rows(torch.arange(RUNS) % 8)
    single = [drawn.rows(torch.tensor([k])) for k in range(ALONE)]
    batched, looped = cpu_seconds(
        lambda: train_ensemble(together, [arm] * RUNS, STEPS, 1),
        lambda: [train_ensemble(one, [arm], STEPS, 1) for one in single],
    )
    run_step, plain = batched / RUNS / STEPS, looped / ALONE / STEPS
    seconds = run_step * 10_000 * 500
    speed = f"{run_step * 1e6:.1f} µs a run-step, {plain * 1e6:.0f} µs one by one"
    print(f"{speed}: {plain / run_step:.0f}×")
    print(f"10,000 runs of 500 steps: {seconds:.0f} s of one core")
    assert plain / run_step >= 50
    assert seconds <= 60
