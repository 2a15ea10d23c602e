"""What the law forecasts for each reward before a step of a TRL run, and what the step did."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.trl.advantage import rule_of, scored, trl_advantage
from covlaw.plugins.trl.attached import (
    Attached,
    checked_rows,
    evaluation_rows,
    log_metrics,
    reward_names,
)
from covlaw.plugins.trl.drawing import Drawn, draw
from covlaw.plugins.trl.passes import new_log_prob
from covlaw.plugins.trl.records import Records
from covlaw.plugins.trl.schedule import Schedule
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.estimators.sign_certificate import sign_certified

ROWS = 16
"""Prompts of an audit by default."""


class Forecast(NamedTuple):
    """What a step is about to do, from completions of π_old that take no part in it."""

    step: int
    """From 0."""
    names: list[str]
    """Of the M rewards."""
    drawn: Drawn
    signal: Tensor | None
    """(N,) what the loss follows: advantage × weight of the completion; None: it differs from
    token to token."""
    law: Covariance | None
    """Cov(r_j, signal): where the signal pulls each expected reward."""
    alarm: Tensor
    """(M,) bool: that is certainly a fall."""


class Audited(NamedTuple):
    """A step: its forecast, and its outcome on the same completions."""

    forecast: Forecast
    did: Covariance
    """Cov(r_j, π_new/π_old): the change of each expected reward, whatever the optimiser (T8)."""
    log_ratio: Tensor
    """(N,) log π_new/π_old."""

    def __str__(self) -> str:
        """One line a reward."""
        step, names, _, _, law, alarm = self.forecast
        unknown = torch.full_like(self.did.estimate, torch.nan)
        columns = (*((unknown, unknown) if law is None else law[:2]), *self.did[:2], alarm)
        rows = zip(names, *(column.tolist() for column in columns), strict=True)
        return "\n".join(
            f"step {step} {name}: law {a:+.4f} ± {b:.4f}, did {c:+.4f} ± {d:.4f}" + rings * " ALARM"
            for name, a, b, c, d, rings in rows
        )


class Audit(Attached):
    """Says before a step where each reward is going, and after it where it went.

    `GRPOTrainer(..., callbacks=[Audit()])`. Rewards, weights, aggregation and scaling are the
    trainer's own. The samples have random numbers of their own: training is the same to the bit
    with and without it. Reward functions are called on them as in evaluation; one that remembers
    (a running mean length) sees them too.

    Numbers go through the trainer's log: covlaw/law/<reward>, law_se, did, did_se, alarm. The law
    is that of the rewards: a KL penalty in GRPO's loss is not in it (RLOO's, part of the reward,
    is). A reward of None is no opinion: it takes no part in that reward's covariance.

    Args:
        rows: Examples as in the data set, two or more; a number: as many of the evaluation set, if
            there is one, else of the training set; None: 16 of those.
        every: Steps from one audit to the next; "auto": by `cost`, which makes the choice of steps
            depend on the clock.
        cost: Seconds of audits a second of training; the first step is audited in any case.
        completions: Of each row, 4 or more.
        chunk: Completions at a time in each process.
        samples: "own": drawn for the audit. "half_batch": completions of the training batch that
            `Scalarized(...)(observed=...)` keeps apart; they cost no sampling.
        on_alarm: "warn", "stop" (training ends after that step), or a function of the `Forecast`,
            called before the optimiser's step.
        out: Folder for records that `covlaw llm audit` and `covlaw report` read.

    Raises:
        CovlawError: on such values; and, as the trainer is built, on settings that it can't follow
            (top-k, top-p, min-p, repetition penalty, tools, sharded parameters).
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]] | int | None = None,
        every: int | str = "auto",
        cost: float = 0.1,
        completions: int = 16,
        chunk: int = 64,
        samples: str = "own",
        on_alarm: str | Callable[[Forecast], object] = "warn",
        out: str | Path | None = None,
    ) -> None:
        if samples not in ("own", "half_batch"):
            raise CovlawError(f"samples={samples!r}: choose 'own' or 'half_batch'")
        if not callable(on_alarm) and on_alarm not in ("warn", "stop"):
            raise CovlawError(f"on_alarm={on_alarm!r}: choose 'warn', 'stop' or a function")
        if completions < 4 or chunk < 1:
            raise CovlawError(f"completions={completions}, chunk={chunk}: give 4 and 1 or more")
        self.rows, self.completions, self.chunk = rows, completions, chunk
        self.samples, self.on_alarm = samples, on_alarm
        self.schedule = Schedule(every, cost)
        self.records = None if out is None else Records(Path(out))
        self.pending: Forecast | None = None
        self.audited: list[Audited] = []

    def begin(self) -> None:
        """Take the rows, once the data sets are there."""
        trainer = self.trainer
        self.names = reward_names(trainer)
        if self.samples == "half_batch" and not (
            hasattr(trainer, "covlaw") and trainer.covlaw.observed
        ):
            raise CovlawError(
                "samples='half_batch' needs completions that the step is not made of: train with "
                "Scalarized(GRPOTrainer)(..., scalarizer='linear', observed=4), or use 'own'"
            )
        if self.samples == "own":
            rows = self.rows
            if rows is None or isinstance(rows, int):
                rows = evaluation_rows(trainer, rows or ROWS)
            self.held = checked_rows(rows, "Audit", trainer.accelerator.num_processes)
        if self.records and trainer.is_world_process_zero():
            self.records.begin(trainer, self.names)
        self.schedule.begin()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forecast: gradients are there, the policy has not moved."""
        if not self._due(state.global_step):
            return
        with self.schedule.auditing():
            self.pending = self._forecast(state.global_step, args.seed)
        names, alarm = self.names, self.pending.alarm
        if self.pending.law is not None:
            log_metrics(self.trainer, "law", names, self.pending.law.estimate)
            log_metrics(self.trainer, "law_se", names, self.pending.law.standard_error)
            log_metrics(self.trainer, "alarm", names, alarm.double())
        if bool(alarm.any()):
            self._ring(self.pending, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask the new policy for the same completions."""
        trainer, forecast = self.trainer, self.pending
        self.pending = None
        if forecast is not None:
            with self.schedule.auditing(first=False):
                drawn = forecast.drawn
                log_ratio = new_log_prob(trainer, drawn) - drawn.log_prob
                rewards = scored(drawn.rewards, drawn.completions)
                did = exact_change(rewards, log_ratio, drawn.prompt)
            self.audited.append(Audited(forecast, did, log_ratio))
            log_metrics(trainer, "did", self.names, did.estimate)
            log_metrics(trainer, "did_se", self.names, did.standard_error)
        if self.records and trainer.is_world_process_zero():
            made = self.audited[-1] if forecast is not None else None
            self.records.step(trainer, self.names, state.global_step - 1, made)

    def _due(self, step: int) -> bool:
        """The same answer in every process: the first one's clock decides."""
        due = self.schedule.due(step)
        if self.trainer.accelerator.num_processes > 1:
            from accelerate.utils import broadcast

            told = torch.tensor([float(due)], device=self.trainer.accelerator.device)
            due = bool(broadcast(told)[0])
        return due

    def _forecast(self, step: int, seed: int) -> Forecast:
        trainer = self.trainer
        if self.samples == "half_batch":
            drawn = trainer.covlaw.observers.latest()
        else:
            drawn = draw(trainer, self.held, self.completions, self.chunk, seed + step)
        advantage = self._advantage(drawn)
        if advantage is None:
            return Forecast(
                step, self.names, drawn, None, None, torch.zeros(len(self.names)).bool()
            )
        signal = advantage * drawn.weight
        law = within_prompt_covariance(
            scored(drawn.rewards, drawn.completions), signal, drawn.prompt
        )
        alarm = sign_certified(law) & (law.estimate < 0)
        return Forecast(step, self.names, drawn, signal, law, alarm)

    def _advantage(self, drawn: Drawn) -> Tensor | None:
        trainer = self.trainer
        if hasattr(trainer, "covlaw"):
            found: Tensor | None = trainer.covlaw.again(drawn)
            return found
        weights = trainer.reward_weights
        return trl_advantage(drawn.rewards, weights, drawn.completions, rule_of(trainer), drawn.kl)

    def _ring(self, forecast: Forecast, control: Any) -> None:
        if callable(self.on_alarm):
            self.on_alarm(forecast)
            return
        fall = [n for n, a in zip(self.names, forecast.alarm.tolist(), strict=True) if a]
        if self.trainer.is_world_process_zero():
            warnings.warn(
                f"covlaw: step {forecast.step} is forecast to lower {', '.join(fall)}", stacklevel=2
            )
        if self.on_alarm == "stop":
            control.should_training_stop = True
