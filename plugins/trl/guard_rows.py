"""Gradients of the rewards on the completions that choose a correction, over all processes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from covlaw.plugins.trl.advantage import scored
from covlaw.plugins.trl.attached import summed
from covlaw.plugins.trl.drawing import Drawn
from covlaw.plugins.trl.passes import new_log_prob, rows_of
from covlaw.plugins.trl.tokens import reward_gradients


def guard_gradients(
    trainer: Any, drawn: Drawn, names: Sequence[str], parts: int, chunk: int
) -> list[Tensor]:
    """∇J_j at the policy as it is now, (M, D), of all completions or of each of their parts.

    Leave-one-out baselines; where the batch that the completions are of may have been stepped on
    already, they are weighed by π_now/π_then.
    """
    size, count = drawn.completions // parts, len(drawn.rewards)
    rewards = scored(drawn.rewards, drawn.completions).view(-1, size, len(names))
    factors = (rewards - rewards.mean(1, keepdim=True)) * size / (size - 1)
    factors = factors.flatten(0, 1) / (count / parts)
    if drawn.kept is not None and _stepped_on(trainer):
        factors *= (new_log_prob(trainer, drawn) - drawn.log_prob).exp()[:, None]
    part_of = torch.arange(count) % drawn.completions // size
    own, at_once = _own(trainer, drawn), min(chunk, rows_of(trainer))
    return [
        summed(
            trainer,
            reward_gradients(
                trainer, drawn.tokens, (factors * (part_of == part)[:, None])[own], at_once
            ),
        )
        for part in range(parts)
    ]


def _stepped_on(trainer: Any) -> bool:
    """Whether one batch makes several optimiser steps."""
    args = trainer.args
    passes = args.steps_per_generation * getattr(trainer, "num_iterations", 1)
    return bool(passes > args.gradient_accumulation_steps)


def _own(trainer: Any, drawn: Drawn) -> Tensor:
    """Places of this process's completions among all."""
    world, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    if drawn.kept is None:
        return torch.arange(len(drawn.rewards)).view(world, -1)[rank]
    size = len(drawn.kept) // world
    before = int(drawn.kept[: rank * size].sum())
    return before + torch.arange(len(drawn.tokens.prompts))
