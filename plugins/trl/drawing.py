"""Completions of the policy that take no part in training, drawn by TRL's own code in isolation."""

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.plugins.trl.attached import gathered
from covlaw.plugins.trl.tokens import Tokens, evaluating, log_prob, reference, token_weights


class Drawn(NamedTuple):
    """Samples of π_old: `tokens` are this process's, the rest is of all processes in order."""

    tokens: Tokens
    rewards: Tensor
    """(N, M) float64, NaN for None; a prompt's completions adjoin."""
    completions: int
    """Of each prompt."""
    weight: Tensor
    """(N,) of `token_weights`."""
    log_prob: Tensor
    """(N,) log π_old, float64."""
    kl: Tensor | None
    """(N,) log π_old − log π_ref, where the trainer's reward has a penalty on it."""
    kept: Tensor | None = None
    """(N,) rows that count, where only some of a batch do; None: all."""

    @property
    def prompt(self) -> Tensor:
        """(N,) prompt ids."""
        return torch.arange(len(self.rewards)) // self.completions


def draw(
    trainer: Any, rows: list[dict[str, Any]], completions: int, chunk: int, seed: int
) -> Drawn:
    """Draw `completions` of each row, a few rows at a time, and have the trainer score them.

    Rows are shared out over the processes. Training's random numbers, metrics and logs are as
    before: a run with audits trains to the same bit as one without.

    Args:
        trainer: Whose policy, rewards and chat template are used.
        rows: As many as the processes share evenly.
        completions: Of each row.
        chunk: Completions at a time in each process.
        seed: Of the draw; each process adds its rank.
    """
    world, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    own, at_once = rows[rank::world], max(chunk // completions, 1)
    tokens, rewards = Tokens([], []), []
    with apart(trainer, completions, seed + 1_000_003 * rank):
        for start in range(0, len(own), at_once):
            inputs = [dict(r) for r in own[start : start + at_once] for _ in range(completions)]
            drawn, scores = _sampled(trainer, inputs)
            tokens.prompts.extend(drawn.prompts)
            tokens.completions.extend(drawn.completions)
            rewards.append(scores.view(world, -1, scores.shape[1]))
        return completed(trainer, tokens, torch.cat(rewards, 1).flatten(0, 1), completions, chunk)


def completed(trainer: Any, tokens: Tokens, rewards: Tensor, completions: int, chunk: int) -> Drawn:
    """Add what the policy says of scored completions."""
    old = log_prob(trainer, tokens, chunk)
    kl = None
    if not hasattr(trainer, "scale_rewards") and trainer.beta:
        with reference(trainer) as model:
            kl = gathered(trainer, old - log_prob(trainer, tokens, chunk, model))
    weight = gathered(trainer, token_weights(trainer, tokens))
    return Drawn(tokens, rewards.double().cpu(), completions, weight, gathered(trainer, old), kl)


def _sampled(trainer: Any, inputs: list[dict[str, Any]]) -> tuple[Tokens, Tensor]:
    prompts = [row["prompt"] for row in inputs]
    found = trainer._generate(prompts)
    tokens = Tokens(*found[:2])
    texts = found[3 if hasattr(trainer, "scale_rewards") else 2]
    return tokens, trainer._calculate_rewards(inputs, prompts, texts, tokens.completions)


@contextmanager
def apart(trainer: Any, completions: int, seed: int) -> Iterator[None]:
    """Use the trainer's sampling without leaving a trace in its random numbers, metrics and logs.

    The policy is in evaluation mode, in which TRL takes `num_generations_eval` completions.
    """
    kept = {
        name: getattr(trainer, name)
        for name in ("num_generations_eval", "_pending_extra_logs", "_pending_metrics")
    }
    metrics = trainer._metrics["eval"]
    state = random.getstate(), np.random.get_state()  # noqa: NPY002  # that of reward functions
    devices = [trainer.accelerator.device] if trainer.accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices), evaluating(trainer), torch.no_grad():
        try:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            trainer.num_generations_eval = completions
            trainer._metrics["eval"] = defaultdict(list)
            trainer._pending_extra_logs = defaultdict(list)
            trainer._pending_metrics = defaultdict(list)
            yield
        finally:
            for name, value in kept.items():
                setattr(trainer, name, value)
            trainer._metrics["eval"] = metrics
            random.setstate(state[0])
            np.random.set_state(state[1])  # noqa: NPY002
