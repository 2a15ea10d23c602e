"""What the guard adds to a training step, as a ratio to an unguarded one in the same run.

CPU time on one thread, best of interleaved rounds, so that a busy machine hurts all sides alike.
The demo's step: 16 prompts, 16 + 8 completions, three objectives.
"""

import statistics
import time
from pathlib import Path

import pytest
import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer

pytestmark = pytest.mark.benchmark

STEPS, ROUNDS = 6, 2
SIDES = {
    "off": {},
    "on": {"guard": "on"},
    "needed": {"guard": "needed"},
    "crossed": {"guard": "on", "guard_options": {"crossed": True}},
    "every 2": {"guard": "on", "guard_options": {"every": 2}},
}


def seconds(folder: Path, seed: int, epochs: int, **guard) -> tuple[float, float]:
    """CPU seconds of a step on average, the first left out, and the share of steps corrected."""
    trainer = Trainer(
        TrainConfig.preset(
            "cpu-demo", out=str(folder), steps=STEPS, epochs=epochs, audits=0, seed=seed, **guard
        )
    )
    states, times, corrected = trainer.fresh(), [], []
    for step in range(STEPS):
        states, lines = trainer.step(step, states)
        times.append(time.process_time())
        corrected.append(bool((lines.step.get("guard") or {}).get("before")))
    return (times[-1] - times[0]) / (STEPS - 1), statistics.mean(corrected)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_guarded_step_costs_less_than_two_and_a_half(tmp_path: Path, epochs: int) -> None:
    torch.set_num_threads(1)
    rounds = [
        {name: seconds(tmp_path / f"{name}-{k}", k, epochs, **own) for name, own in SIDES.items()}
        for k in range(ROUNDS)
    ]
    least = {name: min(found[name][0] for found in rounds) for name in SIDES}
    ratio = {name: took / least["off"] for name, took in least.items()}
    paid = statistics.mean(found["needed"][1] for found in rounds)
    said = ", ".join(f"{name} {value:.2f}×" for name, value in ratio.items() if name != "off")
    print(
        f"{epochs} inner steps: unguarded {least['off']:.2f} s; {said}; gradients were needed in "
        f"{paid:.0%} of the steps"
    )
    # "needed" saves nothing in a run that conflicts: its forecast comes on top of the gradients
    assert ratio["on"] <= 2.5
