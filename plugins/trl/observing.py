"""Completions of a batch that take no part in its steps, and what they show of them."""

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.trl.advantage import rule_of, scored
from covlaw.plugins.trl.drawing import Drawn
from covlaw.plugins.trl.passes import new_log_prob, rows_of, spread
from covlaw.plugins.trl.tokens import Tokens, log_prob, reference, token_weights
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import exact_change
from covlaw.theory.scalarizers import Observation
from covlaw.theory.scalarizers.reward_losses import shortfall


class Held(NamedTuple):
    """Of one batch."""

    drawn: Drawn
    end: int
    """The trainer's forward passes after which the batch is used up."""


class Observers:
    """Keeps a part of each batch apart until the batch is used up.

    Args:
        trainer: Of the batches.
        count: Completions of each prompt.
        names: Of the rewards.
        bounds: (worst, best) of each reward, for losses.
    """

    def __init__(
        self,
        trainer: Any,
        count: int,
        names: list[str],
        bounds: Mapping[str, tuple[float, float]],
    ) -> None:
        self.trainer, self.count, self.names, self.bounds = trainer, count, names, bounds
        self.held: list[Held] = []

    def hold(self, rewards: Tensor, tokens: Tokens, apart: Tensor) -> None:
        """Take the rows of all processes that are `apart` (N,), with the log-probs of π_old."""
        trainer, size = self.trainer, len(tokens.prompts)
        kept = trainer.accelerator.process_index * size + torch.arange(size)
        own, rows = tokens.rows(apart[kept].nonzero()[:, 0].tolist()), rows_of(trainer)
        old = spread(trainer, log_prob(trainer, own, rows), apart)
        weight, kl = spread(trainer, token_weights(trainer, own), apart), None
        if rule_of(trainer).penalty:
            with reference(trainer) as model:
                kl = old - spread(trainer, log_prob(trainer, own, rows, model), apart)
        drawn = Drawn(own, rewards[apart], self.count, weight, old, kl, apart)
        every = trainer.args.steps_per_generation * trainer.num_iterations
        self.held.append(Held(drawn, trainer._step + every))

    def latest(self) -> Drawn:
        """Those of the batch at work.

        Raises:
            CovlawError: where none are kept apart.
        """
        if not self.held:
            raise CovlawError(
                "no completion is kept apart: give Scalarized(...) observed=2 or more"
            )
        return self.held[-1].drawn

    def seen(self, wanted: Set[str]) -> Observation | None:
        """What the batches that are used up show of their steps; None: there are none."""
        due = [held for held in self.held if held.end <= self.trainer._step]
        self.held = [held for held in self.held if held.end > self.trainer._step]
        if not due:
            return None
        drawn = [held.drawn for held in due]
        rewards = torch.cat([scored(d.rewards, d.completions) for d in drawn])
        log_ratio = torch.cat([new_log_prob(self.trainer, d) - d.log_prob for d in drawn])
        prompt = torch.arange(len(rewards)) // self.count
        losses = self._losses(rewards, log_ratio, prompt) if "losses" in wanted else None
        change = exact_change(rewards, log_ratio, prompt).estimate
        return Observation(change, rewards.mean(0), losses)

    def _losses(self, rewards: Tensor, log_ratio: Tensor, prompt: Tensor) -> Tensor:
        remedy = "give Scalarized(...) reward_range={reward: (worst, best)}"
        return shortfall(rewards, log_ratio.exp(), prompt, self.bounds, remedy)
