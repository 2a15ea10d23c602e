"""CPU seconds of a step of TRL's trainer."""

import time

from transformers import TrainerCallback

WARM = 1
"""First steps of a round that do not count."""


class Clock(TrainerCallback):
    """CPU time at the end of each of TRL's steps."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.times.append(time.process_time())


def seconds_a_step(times: list[float]) -> float:
    return (times[-1] - times[WARM - 1]) / (len(times) - WARM)
