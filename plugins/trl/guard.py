"""The guard around the optimiser's step of a TRL run: to first order, no reward falls."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from covlaw.plugins.trl.attached import (
    Attached,
    checked_rows,
    evaluation_rows,
    log_metrics,
    reward_names,
)
from covlaw.plugins.trl.drawing import Drawn, draw
from covlaw.plugins.trl.floors import Floors
from covlaw.plugins.trl.guard_rows import guard_gradients
from covlaw.plugins.trl.tokens import trained
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.gramian import crossed_products, shrunk_gramian
from covlaw.theory.guard.metric import optimiser_metric
from covlaw.theory.guard.parameters import snapshot, step_since, write_step
from covlaw.theory.guard.products import effects_of, gramian_of
from covlaw.theory.guard.step import Guarded, guard_step

_log = logging.getLogger("covlaw")
ROWS = 16
"""Prompts by default."""
_TOLD = ("not guarded", "plain metric", "left alone", "no step meets", "refused")
"""What is worth a warning, once, of what a step's notes say."""


class Guard(Attached):
    """Changes each finished step as little as keeps every reward from falling (T58, T59).

    `GRPOTrainer(..., callbacks=[Guard()])`. Before the optimiser's step it takes the rewards'
    gradients on completions that the step is not made of; after it, it projects the step that the
    optimiser took, momentum, clipping and weight decay included, in the optimiser's own metric.
    First order: a reward may still fall by curvature, or where its gradient is an estimate. Floors
    ask back what was lost so (T64): with floors of 0 it adds up.

    It costs a forward and M backward passes over its completions a guarded step, and M gradients of
    memory; with `crossed` twice as many of both. Logged: covlaw/guard/<reward> (the first-order
    effect g_j·u after), guard_before, guard_floor, and covlaw/guard_changed (how much of the step
    was changed, in the metric). What floors remember is in every checkpoint (trainer_state.json).

    Args:
        rows: As for `Audit`.
        completions: Of each row, 2 or more; with `crossed` even, 4 or more.
        chunk: Completions at a time in each process.
        every: Steps from one guarded step to the next.
        floor: What each first-order effect must not be below, in units of reward: "restoring", what
            `RestoringFloors` ask by the mean rewards of these completions, or such floors with
            settings of yours; a number, or one a reward.
        rewards: Names of the guarded ones; None: all.
        samples: As for `Audit`. "half_batch" uses the same completions for every step that is made
            of a batch, in later ones weighed by π_now/π_then.
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
        floor: Any = "restoring",
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
        self._said = set[str]()

    def begin(self) -> None:
        """Take the rows, once the data sets are there."""
        trainer = self.trainer
        self.names = reward_names(trainer)
        unknown = set(self.rewards or ()) - set(self.names)
        if unknown:
            raise CovlawError(f"no reward is called {min(unknown)!r}: there are {self.names}")
        self.kept = None if self.rewards is None else [n in self.rewards for n in self.names]
        self.floors = Floors(self.floor, len(self.names))
        states = trainer.state.stateful_callbacks
        if trainer.state.global_step and not self.floors.resume(states) and self.floors.rule:
            self._say("the checkpoint holds no floors: they start from the rewards as they are now")
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
        drawn = self._drawn(state.global_step, args.seed)
        self.floors.seen(drawn)
        self.asked = self.floors.asked(drawn)
        halves = 1 + self.crossed
        self.parts = guard_gradients(self.trainer, drawn, self.names, halves, self.chunk)
        self.moving = trained(self.trainer)
        self.old = snapshot(self.moving)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Project the step that was taken."""
        if self.old is None:
            return
        parameters, old = trained(self.trainer), self.old
        self.old = None
        parts = self.parts
        del self.parts
        if {*map(id, parameters)} != {*map(id, self.moving)}:
            raise CovlawError(
                "parameters were frozen or added during an update: the guard cannot tell what it "
                "did to them; do it between updates"
            )
        read = optimiser_metric(_plain(kwargs["optimizer"]), parameters)
        metric = read.values
        mean, gram = parts[0], None
        if self.crossed:
            mean = (parts[0] + parts[1]) / 2
            products = crossed_products(parts[0], parts[1], metric)
            gram = shrunk_gramian(products, gramian_of(mean, mean, metric)).gram
        found = guard_step(
            step_since(old, parameters),
            mean,
            metric,
            self.asked,
            gram=gram,
            guarded=self.kept,
            names=self.names,
        )
        if bool((found.weights > 0).any()) or bool(found.scale < 1):
            write_step(old, parameters, found.step)
            if any(p.dtype.itemsize < 4 for p in parameters):  # what was written is rounded
                found = found._replace(effects=effects_of(mean, step_since(old, parameters)))
        self._log(found._replace(notes=(*read.notes, *found.notes)))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave what floors remember to the checkpoint that may come now."""
        self.floors.keep(state.stateful_callbacks)

    def _say(self, note: str) -> None:
        if note not in self._said and self.trainer.accelerator.is_main_process:
            self._said.add(note)
            _log.warning("guard: %s", note)

    def _log(self, found: Guarded) -> None:
        trainer = self.trainer
        for note in found.notes:
            if any(words in note for words in _TOLD):
                self._say(note)
        small = found._replace(step=found.step.new_zeros(0))  # a run's worth of steps is too much
        self.guarded.append(small)
        log_metrics(trainer, "guard", self.names, found.effects)
        log_metrics(trainer, "guard_before", self.names, found.before)
        log_metrics(trainer, "guard_floor", self.names, self.asked)
        trainer._metrics["train"]["covlaw/guard_changed"].append(float(found.changed))

    def _drawn(self, step: int, seed: int) -> Drawn:
        if self.samples == "half_batch":
            held: Drawn = self.trainer.covlaw.observers.latest()
            return held
        # other streams than an audit's of the same step
        return draw(self.trainer, self.held, self.completions, self.chunk, seed + step + 500_009)


def _enough(completions: int, crossed: bool) -> bool:
    """Whether a prompt has completions enough for a covariance, or for one in each half."""
    return completions >= 4 and completions % 2 == 0 if crossed else completions >= 2


def _plain(optimizer: Any) -> Any:
    """The optimiser inside accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)
