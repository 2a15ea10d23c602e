"""The guard around the optimiser's step of a TRL run: to first order, no reward falls."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from covlaw.plugins.trl.advantage import scored
from covlaw.plugins.trl.attached import (
    Attached,
    checked_rows,
    evaluation_rows,
    log_metrics,
    reward_names,
    summed,
)
from covlaw.plugins.trl.drawing import Drawn, draw
from covlaw.plugins.trl.passes import rows_of
from covlaw.plugins.trl.tokens import reward_gradients, trained
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.gramian import crossed_products, shrunk_gramian
from covlaw.theory.guard.metric import optimiser_metric
from covlaw.theory.guard.parameters import snapshot, step_since, write_step
from covlaw.theory.guard.products import gramian_of
from covlaw.theory.guard.step import Guarded, guard_step

ROWS = 16
"""Prompts by default."""


class Guard(Attached):
    """Changes each finished step as little as keeps every reward from falling (T58, T59).

    `GRPOTrainer(..., callbacks=[Guard()])`. Before the optimiser's step it takes the rewards'
    gradients on completions that the step is not made of; after it, it projects the step that the
    optimiser took, momentum, clipping and weight decay included, in the optimiser's own metric.
    First order: a reward may still fall by curvature, or where its gradient is an estimate.

    It costs a forward and M backward passes over its completions a guarded step, and M gradients of
    memory; with `crossed` twice as many of both. Logged: covlaw/guard/<reward> (the first-order
    effect g_j·u after), guard_before, and covlaw/guard_changed (how much of the step was changed,
    in the metric).

    Args:
        rows: As for `Audit`.
        completions: Of each row, 2 or more; with `crossed` even, 4 or more.
        chunk: Completions at a time in each process.
        every: Steps from one guarded step to the next.
        floor: What each first-order effect must not be below, in units of reward: a number, or one
            a reward.
        rewards: Names of the guarded ones; None: all.
        samples: As for `Audit`.
        crossed: Whether the Gramian is that of two halves of the completions, shrunk (T62): without
            the noise on its diagonal, which makes corrections too small, but with a larger spread.
            In the study it protects no better (docs/guard.md).

    Raises:
        CovlawError: as for `Audit`.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]] | int | None = None,
        completions: int = 8,
        chunk: int = 64,
        every: int = 1,
        floor: Any = 0.0,
        rewards: Sequence[str] | None = None,
        samples: str = "own",
        crossed: bool = False,
    ) -> None:
        if samples not in ("own", "half_batch"):
            raise CovlawError(f"samples={samples!r}: choose 'own' or 'half_batch'")
        halves = "an even number of completions from 4 up" if crossed else "2 completions or more"
        if not _enough(completions, crossed) or chunk < 1 or every < 1:
            raise CovlawError(
                f"completions={completions}, chunk={chunk}, every={every}: give {halves}, and the "
                "others from 1 up"
            )
        self.rows, self.completions, self.chunk, self.every = rows, completions, chunk, every
        self.floor, self.rewards, self.samples, self.crossed = floor, rewards, samples, crossed
        self.old: list[Tensor] | None = None
        self.guarded: list[Guarded] = []

    def begin(self) -> None:
        """Take the rows, once the data sets are there."""
        trainer = self.trainer
        self.names = reward_names(trainer)
        unknown = set(self.rewards or ()) - set(self.names)
        if unknown:
            raise CovlawError(f"no reward is called {min(unknown)!r}: there are {self.names}")
        self.kept = None if self.rewards is None else [n in self.rewards for n in self.names]
        if self.samples == "half_batch":
            observed = trainer.covlaw.observed if hasattr(trainer, "covlaw") else 0
            if not _enough(observed, self.crossed):
                raise CovlawError(
                    "samples='half_batch' takes 2 completions of a prompt, with crossed=True two "
                    "halves of 2: train with Scalarized(...)(..., observed=4), or more, and even"
                )
            return
        rows = self.rows
        if rows is None or isinstance(rows, int):
            rows = evaluation_rows(trainer, rows or ROWS)
        self.held = checked_rows(rows, "Guard", trainer.accelerator.num_processes)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take gradients where the step begins."""
        if state.global_step % self.every:
            return
        self.parts = self._gradients(self._drawn(state.global_step, args.seed))
        self.old = snapshot(trained(self.trainer))

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Project the step that was taken."""
        if self.old is None:
            return
        parameters, old = trained(self.trainer), self.old
        self.old = None
        parts = self.parts
        del self.parts
        metric = optimiser_metric(_plain(kwargs["optimizer"]), parameters).values
        mean, gram = parts[0], None
        if self.crossed:
            mean = (parts[0] + parts[1]) / 2
            products = crossed_products(parts[0], parts[1], metric)
            gram = shrunk_gramian(products, gramian_of(mean, mean, metric)).gram
        found = guard_step(
            step_since(old, parameters),
            mean,
            metric,
            self.floor,
            gram=gram,
            guarded=self.kept,
            names=self.names,
        )
        if bool((found.weights > 0).any()) or bool(found.scale < 1):
            write_step(old, parameters, found.step)
        self._log(found)

    def _log(self, found: Guarded) -> None:
        trainer = self.trainer
        small = found._replace(step=found.step.new_zeros(0))  # a run's worth of steps is too much
        self.guarded.append(small)
        log_metrics(trainer, "guard", self.names, found.effects)
        log_metrics(trainer, "guard_before", self.names, found.before)
        trainer._metrics["train"]["covlaw/guard_changed"].append(float(found.changed))

    def _drawn(self, step: int, seed: int) -> Drawn:
        if self.samples == "half_batch":
            held: Drawn = self.trainer.covlaw.observers.latest()
            return held
        # other streams than an audit's of the same step
        return draw(self.trainer, self.held, self.completions, self.chunk, seed + step + 500_009)

    def _gradients(self, drawn: Drawn) -> list[Tensor]:
        """∇J_j over all processes, (M, D): of all completions, or of each half where crossed."""
        trainer, parts = self.trainer, 1 + self.crossed
        size, count = drawn.completions // parts, len(drawn.rewards)
        rewards = scored(drawn.rewards, drawn.completions).view(-1, size, len(self.names))
        factors = (rewards - rewards.mean(1, keepdim=True)) * size / (size - 1)
        factors = factors.flatten(0, 1) / (count / parts)
        part_of = torch.arange(count) % drawn.completions // size
        own, chunk = _own(trainer, drawn), min(self.chunk, rows_of(trainer))
        return [
            summed(
                trainer,
                reward_gradients(
                    trainer, drawn.tokens, (factors * (part_of == part)[:, None])[own], chunk
                ),
            )
            for part in range(parts)
        ]


def _enough(completions: int, crossed: bool) -> bool:
    """Whether a prompt has completions enough for a covariance, or for one in each half."""
    return completions >= 4 and completions % 2 == 0 if crossed else completions >= 2


def _own(trainer: Any, drawn: Drawn) -> Tensor:
    """Places of this process's completions among all."""
    world, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    if drawn.kept is None:
        return torch.arange(len(drawn.rewards)).view(world, -1)[rank]
    size = len(drawn.kept) // world
    before = int(drawn.kept[: rank * size].sum())
    return before + torch.arange(len(drawn.tokens.prompts))


def _plain(optimizer: Any) -> Any:
    """The optimiser inside accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)
