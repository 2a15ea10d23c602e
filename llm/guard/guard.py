"""The guard of a run: draws nothing itself, corrects each finished update, remembers its floors."""

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.guard.correction import gradients_and_products, guarded_step
from covlaw.llm.guard.gradients import objective_gradients
from covlaw.llm.guard.judging import ChangeReader, Seen
from covlaw.llm.guard.record import Outcome
from covlaw.llm.model.parameters import copy_of, load, trainable
from covlaw.llm.runs.checkpoint_manager import NoState
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import (
    Controlled,
    Guarded,
    Judged,
    certified_floor,
    falls,
    halved,
    needed,
    optimiser_metric,
    step_since,
    write_step,
)
from covlaw.theory.guard.floors import critical

_log = logging.getLogger("covlaw")
OTHERWISE = "rows that did not choose it do not see what it is for rise"
BLIND = "none of the rewards that it is for varies on the rows that judge it"
_TOLD = ("not guarded", "plain metric", "left alone", "too few", BLIND)


class Pending(NamedTuple):
    """What is kept of π_old until the update is done."""

    old: Mapping[str, Tensor]
    floor: Tensor
    """(M,) before an error is added to it."""
    chosen: SampledRollouts
    """Rows whose gradients choose the correction."""
    forecast: ChangeReader | None
    """Of those rows, where the step's own effect is to be seen before they choose anything."""
    check: ChangeReader | None
    """Of the rows that judge."""
    seconds: float


def _require_same(old: Iterable[str], new: Iterable[str]) -> None:
    """Refuse a step of other parameters than the policy had before it: it cannot be compared."""
    before, after = set(old), set(new)
    if before == after:
        return
    words = {"frozen or removed": before - after, "added or unfrozen": after - before}
    said = "; ".join(
        f"{what}: {', '.join(sorted(names))}" for what, names in words.items() if names
    )
    raise CovlawError(
        f"the guard cannot tell what an update did, for parameters changed during it ({said}): "
        "freeze and add between updates"
    )


class Guard:
    """Corrects a run's updates (THEORY, part H), as its settings say.

    Args:
        model: The policy.
        optimizer: Of its parameters; its state is read for the metric and stays as it is.
        config: Of the run.
    """

    def __init__(self, model: Any, optimizer: torch.optim.Optimizer, config: TrainConfig) -> None:
        self.model, self.optimizer, self.config = model, optimizer, config
        self.settings = config.guard_settings
        self.names = config.objectives
        self.floors = self.settings.restoring(len(self.names)) if self.settings else None
        self._said = set[str]()

    def fresh(self) -> Any:
        """What the floors remember before the first step."""
        return self.floors.init() if self.floors else NoState()

    def rows_at(self, step: int) -> int:
        """Completions a prompt that it needs of a step."""
        found = self.settings
        return 0 if found is None or step % found.every else found.rows + found.check

    def seen(self, state: Any, drawn: SampledRollouts) -> Any:
        """Take in a batch's rewards; of an objective the completions that have an opinion."""
        if self.floors is None:
            return state
        silent = bool(drawn.raw.isnan().any())
        mean = drawn.raw.nanmean(0) if silent else drawn.rewards.mean(0)
        return self.floors.update(state, mean)

    def before(self, rows: SampledRollouts, state: Any) -> Pending:
        """Read π_old on the rows, and keep its parameters."""
        settings, started = self._on, time.perf_counter()
        chosen, check = rows, None
        if settings.check:
            chosen, rest = rows.parted(settings.rows)
            check = ChangeReader(self.model, rest, self.config)
        reads = self.config.guard == "needed" or settings.floors == "certified"
        forecast = ChangeReader(self.model, chosen, self.config) if reads else None
        zero = torch.zeros(len(self.names), dtype=torch.float64)
        opinions = (~rows.raw.isnan()).double().mean(0)
        floor = self.floors.floor(state, opinions) if self.floors else zero
        spent = time.perf_counter() - started
        return Pending(copy_of(self.model), floor, chosen, forecast, check, spent)

    def correct(self, pending: Pending) -> Outcome:
        """Correct the update that has moved the model away from `pending.old`, where it must be.

        Raises:
            CovlawError: for gradients, log-probs or optimiser state that are not finite, and where
                parameters were frozen or added since `before`.
        """
        _require_same(pending.old, trainable(self.model))
        started, settings = time.perf_counter(), self._on
        forecast = pending.forecast.see().judged if pending.forecast else None
        floor, outcome = pending.floor, Outcome(pending.floor, forecast)
        if self.config.guard == "needed" and not self._falling(pending, forecast):
            return outcome.after(pending.seconds + time.perf_counter() - started)
        if settings.floors == "certified" and pending.forecast and forecast:
            error, prompts = forecast.standard_error, pending.forecast.prompts
            floor = certified_floor(error, prompts, floor, settings.level)
        new, plain = copy_of(self.model), pending.check.see() if pending.check else None
        guarded = self._guarded(pending, floor)
        outcome = outcome.chosen(guarded, floor, plain.judged if plain else None)
        if not outcome.changes:
            load(self.model, new)
            outcome = self._uncorrected(pending, outcome, plain)
        else:
            outcome = self._judged(pending, guarded, outcome, new, plain)
        self._say(outcome)
        return outcome.after(pending.seconds + time.perf_counter() - started)

    def _falling(self, pending: Pending, forecast: Judged | None) -> bool:
        assert forecast is not None  # noqa: S101  # "needed" reads it
        assert pending.forecast is not None  # noqa: S101
        if self._unsure(pending):
            return True
        falls = needed(
            forecast.change,
            pending.floor,
            forecast.standard_error,
            pending.forecast.prompts,
            self._on.level,
        )
        return bool((falls & torch.tensor(self._on.guarded(self.names))).any())

    def _unsure(self, pending: Pending) -> tuple[str, ...]:
        """Why a forecast cannot decide: with so few prompts hardly any fall is certain."""
        prompts = pending.forecast.prompts if pending.forecast else 0
        if self.config.guard != "needed" or prompts > len(self.names):
            return ()
        return (
            f"{prompts} prompts for {len(self.names)} objectives are too few to forecast a fall: "
            'guarded as with guard = "on"',
        )

    def _guarded(self, pending: Pending, floor: Tensor) -> Guarded:
        """Choose the step; the model is left at the old parameters."""
        parameters = list(trainable(self.model).values())
        metric = optimiser_metric(self.optimizer, parameters)
        step = step_since(list(pending.old.values()), parameters)
        load(self.model, pending.old)
        drawn = pending.chosen
        parts = drawn.parted(self._on.rows // 2) if self._on.crossed else (drawn,)
        halves = [objective_gradients(self.model, part, self.config) for part in parts]
        gradients, products, notes = gradients_and_products(halves, step, metric)
        kept = self._on.guarded(self.names)
        found = guarded_step(step, gradients, metric, products, floor, kept, self.names)
        return found._replace(notes=(*notes, *self._unsure(pending), *found.notes))

    def _judged(
        self,
        pending: Pending,
        guarded: Guarded,
        outcome: Outcome,
        new: Mapping[str, Tensor],
        plain: Seen | None,
    ) -> Outcome:
        """Take the step as far as the rows that did not choose it carry it."""
        parameters, old = list(trainable(self.model).values()), list(pending.old.values())
        write_step(old, parameters, guarded.step)
        if pending.check is None or plain is None:
            return outcome.taken()
        first = pending.check.see()
        # a step cut to its length holds so much of the optimiser's own: what is added is judged
        gain, error = pending.check.gain(guarded.weights, first, plain, float(guarded.scale))
        outcome = outcome.judged(first.judged, gain, error)
        if not gain > 0:
            load(self.model, new)
            reason = BLIND if gain == error == 0 else OTHERWISE
            return self._uncorrected(pending, outcome.refused(reason), plain)
        if not self._on.backtracking:
            return outcome.taken()
        return outcome.shortened(self._halved(pending.check, old, guarded, first.judged))

    def _uncorrected(self, pending: Pending, outcome: Outcome, plain: Seen | None) -> Outcome:
        """Keep the step that the model is at, halved while an objective falls for certain."""
        if pending.check is None or plain is None or not self._on.backtracking:
            return outcome
        idle = not outcome.refusal
        if idle and not bool(falls(plain.judged, *self._limits(pending.check)).any()):
            return outcome  # to the bit
        old = list(pending.old.values())
        step = step_since(old, list(trainable(self.model).values()))
        assert outcome.guarded is not None  # noqa: S101  # one was sought
        own = outcome.guarded._replace(step=step)
        return outcome.uncorrected(self._halved(pending.check, old, own, plain.judged))

    def _halved(
        self, reader: ChangeReader, old: list[Tensor], guarded: Guarded, first: Judged
    ) -> Controlled:
        """Halve a step that the model is at and that was judged, while one falls for certain."""
        parameters = list(trainable(self.model).values())

        def judge(step: Tensor) -> Judged:
            if step is guarded.step:
                return first
            write_step(old, parameters, step)
            return reader.see().judged

        return halved(guarded, judge, *self._limits(reader))

    def _limits(self, reader: ChangeReader) -> tuple[Tensor, float]:
        """What no change may be below, and by how many standard errors."""
        kept = torch.tensor(self._on.guarded(self.names))
        quantile = critical(reader.prompts, len(self.names), self._on.level)
        return torch.where(kept, 0.0, -torch.inf), quantile

    @property
    def _on(self) -> Any:
        assert self.settings is not None  # noqa: S101  # asked for rows only where it is on
        return self.settings

    def _say(self, outcome: Outcome) -> None:
        """What leaves an objective or a parameter unguarded, or the metric unknown, once."""
        for note in (*outcome.notes, outcome.refusal):
            if any(words in note for words in _TOLD) and note not in self._said and active().first:
                self._said.add(note)
                _log.warning("guard: %s", note)
