"""A scalarizer at work on a trainer's batches: their signal, and what it learns of each step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from covlaw.plugins._shared.learning import RATIOS, is_weighted, observed_of
from covlaw.plugins.trl.advantage import Rule, rule_of, scored, trl_advantage
from covlaw.plugins.trl.attached import log_metrics, reward_names
from covlaw.plugins.trl.drawing import Drawn
from covlaw.plugins.trl.observing import Observers
from covlaw.plugins.trl.passes import by_token, gramian_at
from covlaw.plugins.trl.tokens import Tokens, reference
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import Batch, Observation, Signal, make_scalarizer

BY_TOKEN = frozenset({"mask", "log_ratio_to_reference"})
"""A scalarizer that reads these makes an advantage a token."""


class Signals:
    """Makes each batch's training signal, and shows the scalarizer what came of it.

    Args:
        trainer: A GRPOTrainer or RLOOTrainer.
        scalarizer: Name, or module:Class from outside.
        options: Of the scalarizer.
        observed: Completions of each prompt that observe instead of train; None: a quarter, and 2
            at least, where the scalarizer learns from changes, else none.
        reward_range: (worst, best) of each reward by name, for scalarizers that learn from losses.

    Raises:
        CovlawError: on what the trainer can't give.
    """

    def __init__(
        self,
        trainer: Any,
        scalarizer: str,
        options: Mapping[str, Any],
        observed: int | None,
        reward_range: Mapping[str, tuple[float, float]] | None,
    ) -> None:
        self.trainer, self.name = trainer, scalarizer
        self.names = reward_names(trainer)
        self.scalarizer = make_scalarizer(scalarizer, self.names, **options)
        self.state = self.applied = self.scalarizer.init()
        learns = bool(self.scalarizer.after & RATIOS)
        count = trainer.num_generations
        self.observed = observed_of(count, learns, observed, scalarizer, "num_generations")
        bounds = dict.fromkeys(self.names, (0.0, 1.0)) | dict(reward_range or {})
        self.observers = Observers(trainer, self.observed, self.names, bounds)
        self.signal: Signal | None = None
        self.gramian: Tensor | None = None
        self.advantage: Tensor | None = None
        """(N,) or (N, T) of the batch at work, where the trainer's own is replaced."""
        self.rewards: Tensor | None = None
        self._require_given()

    def score(self, rewards: Tensor, tokens: Tokens) -> Tensor:
        """Take a batch's rewards (N, M), set its weights, and hide what only observes.

        Args:
            rewards: Of all processes, as TRL gathers them.
            tokens: This process's completions.
        """
        trainer, count = self.trainer, self.trainer.num_generations
        seen, used = rewards.detach().double().cpu(), count - self.observed
        trains = torch.arange(len(seen)) % count < used
        batch = self._batch(scored(seen[trains], used), used, tokens, trains)
        self.gramian = batch.gramian
        self.state, self.signal = self.scalarizer.signal(self.state, batch)
        self.applied = self.state
        self._apply(self.signal, batch, seen, trains)
        if self.observed:
            self.observers.hold(seen, tokens, ~trains)
        if self.signal.weights is not None:
            log_metrics(trainer, "weight", self.names, self.signal.weights)
        if "values" in self.scalarizer.after and not RATIOS & self.scalarizer.after:
            seen_now = Observation(values=batch.rewards.mean(0))
            self.state = self.scalarizer.update(self.state, seen_now)
        self.rewards = rewards.clone()
        rewards[~trains.to(rewards.device)] = torch.nan  # TRL leaves rows without rewards out
        return rewards

    def place(self, output: dict[str, Any]) -> None:
        """Put the advantage, where TRL's own isn't it, into the batch and its table."""
        trainer, size = self.trainer, len(output["advantages"])
        logged = trainer._logs
        assert self.rewards is not None  # noqa: S101  # the batch was scored
        for name, column in zip(self.names, self.rewards.T.tolist(), strict=True):
            if name in logged["rewards"]:
                _overwrite(logged["rewards"][name], column)
        if self.advantage is None:
            return
        start = trainer.accelerator.process_index * size
        own = self.advantage[start : start + size].to(output["advantages"])
        if own.ndim == 2:
            own = own[:, : output["completion_ids"].shape[1]]
            own = pad(own, (0, output["completion_ids"].shape[1] - own.shape[1]))
        output["advantages"] = own
        whole = self.advantage if self.advantage.ndim == 1 else self.advantage.mean(1)
        _overwrite(logged["advantages"], whole.tolist())

    def learn(self) -> None:
        """Show the scalarizer the steps of batches that are used up."""
        found = self.observers.seen(self.scalarizer.after)
        if found is not None and self.scalarizer.after & RATIOS:
            self.state = self.scalarizer.update(self.state, found)

    def again(self, drawn: Drawn) -> Tensor | None:
        """Advantage of other completions under the signal that the last batch got: (N,).

        None where it differs from token to token: then no law holds.
        """
        rule, count = rule_of(self.trainer), drawn.completions
        if self.advantage is None:
            return trl_advantage(drawn.rewards, self.trainer.reward_weights, count, rule, drawn.kl)
        if self.advantage.ndim == 2:
            return None
        batch = Batch(scored(drawn.rewards, count), drawn.prompt, gramian=self.gramian)
        return _advantage(self.scalarizer.signal(self.applied, batch)[1], count, rule)

    def _batch(self, rewards: Tensor, used: int, tokens: Tokens, trains: Tensor) -> Batch:
        """What the scalarizer asks for, of the rows (N,) that train."""
        wanted, trainer = self.scalarizer.before, self.trainer
        batch = Batch(rewards, torch.arange(len(rewards)) // used)
        if "gramian" in wanted:
            grouped = rewards.view(-1, used, rewards.shape[1])
            centred = torch.zeros(len(trains), rewards.shape[1], dtype=torch.float64)
            centred[trains] = (grouped - grouped.mean(1, keepdim=True)).flatten(0, 1) / len(rewards)
            batch = batch._replace(gramian=gramian_at(trainer, tokens, centred))
        if BY_TOKEN & wanted:
            mask, ratio = by_token(trainer, tokens, "log_ratio_to_reference" in wanted)
            ratio = None if ratio is None else ratio[trains]
            batch = batch._replace(mask=mask[trains], log_ratio_to_reference=ratio)
        return batch

    def _apply(self, signal: Signal, batch: Batch, seen: Tensor, trains: Tensor) -> None:
        """Weights where they say all, else the advantage itself."""
        trainer, rule = self.trainer, rule_of(self.trainer)
        self.advantage = None
        if signal.advantage is None and is_weighted(signal, batch.rewards):
            assert signal.weights is not None  # noqa: S101
            trainer.reward_weights = signal.weights.to(trainer.reward_weights)
            return
        if signal.advantage is None and rule.by_reward:
            raise CovlawError(
                f"{self.name} makes a score that is no weighted sum: it can't be summed after "
                'normalising; set multi_objective_aggregation="sum_then_normalize"'
            )
        if rule.penalty:
            raise CovlawError(
                f"{self.name} sets the advantage, which RLOO's KL penalty (beta={rule.penalty}) is "
                "part of: set beta=0"
            )
        found = _advantage(signal, trainer.num_generations - self.observed, rule)
        unscored = torch.isnan(seen[trains]).all(1)
        found = torch.where(unscored.view(-1, *[1] * (found.ndim - 1)), 0.0, found.double())
        self.advantage = torch.zeros(len(seen), *found.shape[1:], dtype=torch.float64)
        self.advantage[trains] = found

    def _require_given(self) -> None:
        trainer, before = self.trainer, self.scalarizer.before
        rloo = rule_of(trainer).leave_one_out
        if BY_TOKEN & before and rloo:
            raise CovlawError(
                f"{self.name} sets an advantage a token: RLOOTrainer has one a completion; use "
                "GRPOTrainer"
            )
        if "log_ratio_to_reference" in before:
            with reference(trainer):
                pass


def _advantage(signal: Signal, completions: int, rule: Rule) -> Tensor:
    """The scalarizer's own, else TRL's of its score."""
    if signal.advantage is not None:
        return signal.advantage
    one = torch.ones(1, dtype=torch.float64)
    return trl_advantage(signal.score[:, None], one, completions, rule)


def _overwrite(log: Any, values: list[Any]) -> None:
    """Replace the last entries of a deque, which holds as many as a batch at most."""
    for offset, value in enumerate(reversed(values), 1):
        if offset <= len(log):
            log[-offset] = value
