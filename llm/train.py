"""The RL loop: sample, score, scalarize, step, observe, audit, record, checkpoint."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from covlaw.llm import checkpoint, records
from covlaw.llm.audit import Sample, Transition
from covlaw.llm.auditor import Auditor
from covlaw.llm.config import TrainConfig
from covlaw.llm.engine import TransformersEngine
from covlaw.llm.lock import alone_in
from covlaw.llm.observation import Observer
from covlaw.llm.parameters import copy_of
from covlaw.llm.policy import load_policy
from covlaw.llm.policy_step import TrainingBatch, policy_step
from covlaw.llm.randomness import numpy_stream, torch_stream
from covlaw.llm.rewards import RewardState, initial_state, observe_lengths
from covlaw.llm.sampling import Drawn, Sampler, as_prompts, choose
from covlaw.llm.scoring import Rewards
from covlaw.llm.signals import Signals
from covlaw.llm.step_record import step_record
from covlaw.llm.tasks import load_task

Progress = Callable[[int, int, dict[str, Any]], None]
"""(steps done, steps in all, the newest record)."""

_log = logging.getLogger("covlaw")


class States(NamedTuple):
    """What changes between steps besides the model."""

    scalarizer: Any
    rewards: RewardState


def train(config: TrainConfig, progress: Progress | None = None) -> Path:
    """Run, or continue, one RL run and return its folder.

    A run that was killed continues where its newest whole checkpoint stands; at a fixed thread
    count its records equal those of an unbroken run, bit for bit (durations are kept apart).

    Raises:
        CovlawError: on bad settings, an unreachable model, a folder that holds another run or is
            in use, a reward that fails, or a policy that diverges; what was recorded stays.
    """
    torch.set_num_threads(config.threads)
    Rewards(config.rewards)  # an unknown one is named before there is a folder or a model
    folder = Path(config.out)
    records.open_run(folder, config.to_dict())
    if not (folder / "model").exists():
        with alone_in(folder):
            Trainer(config, folder).run(progress)
    return folder


class Trainer:
    """One run's moving parts."""

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.scalarizer = config.make_scalarizer()
        problems = load_task(config.task, "train", path=config.task_path or None)
        self.model, self.tokenizer = load_policy(config.model, config.device)
        self.problems = as_prompts(self.tokenizer, problems)
        wanted = config.kl_coefficient or "log_ratio_to_reference" in self.scalarizer.before
        self.reference = load_policy(config.model, config.device)[0] if wanted else None
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        engine = TransformersEngine(self.model, self.tokenizer)
        self.sampler = Sampler(engine, Rewards(config.rewards), config)
        self.signals = Signals(self.scalarizer, self.model, self.reference, config)
        self.auditor = Auditor(self.model, self.sampler, self.signals, self.problems, config)

    def run(self, progress: Progress | None) -> None:
        """Do the steps that are left, then write the final model."""
        start, states = self._restore()
        total = self.config.steps
        for step in range(start, total):
            started = time.perf_counter()
            states, record = self._step(step, states)
            seconds = round(time.perf_counter() - started, 4)
            records.append_line(self.folder / records.STEPS, record)
            records.append_line(self.folder / records.TIMING, {"step": step, "seconds": seconds})
            if (step + 1) % self.config.checkpoint_every == 0 or step + 1 == total:
                self._save(step + 1, states)
            if progress:
                progress(step + 1, total, record)
        checkpoint.save_model(self.folder / "model", self.model, self.tokenizer)

    def _step(self, step: int, states: States) -> tuple[States, dict[str, Any]]:
        config, audited = self.config, step in self.auditor.steps
        drawn, states = self._draw(step, states)
        train_rows, observed_rows = self._split(drawn)
        applied = self.signals.make(states.scalarizer, train_rows)
        observer = self._observer(observed_rows)
        pending = self.auditor.before(step, applied, states.rewards) if audited else None
        old, rate = (copy_of(self.model) if audited else {}), self._set_rate(step)
        batch = TrainingBatch(train_rows.completions, applied.advantage)
        anchor = self.reference if config.kl_coefficient else None
        trace = policy_step(self.model, self.optimizer, batch, config, anchor, keep=audited)
        state = applied.state
        state = self.scalarizer.update(state, observer.see()) if observer else state
        audits = []
        if pending:
            sample = Sample(train_rows.completions, train_rows.rewards, applied.advantage)
            audits = self.auditor.after(step, pending, sample, Transition(old, trace, rate))
        record = step_record(step, config, drawn, applied.weights, trace, audits)
        lengths = observe_lengths(
            states.rewards, drawn.completions.lengths.double(), config.length_decay
        )
        return States(state, lengths), record

    def _draw(self, step: int, states: States) -> tuple[Drawn, States]:
        config = self.config
        problems = choose(self.problems, config.prompts, numpy_stream(config.seed, step, "prompts"))
        stream = torch_stream(config.seed, step, "completions", config.device)
        count = config.completions + (config.observed if self._observes else 0)
        completions = self.sampler.sample(problems, count, stream)
        if step == 0:  # nothing seen before: the first batch sets the mean length
            states = states._replace(rewards=initial_state(completions.lengths.double()))
        return Drawn(
            completions, self.sampler.rewards(completions, problems, states.rewards)
        ), states

    @property
    def _observes(self) -> bool:
        return bool(self.scalarizer.after)

    def _split(self, drawn: Drawn) -> tuple[Drawn, Drawn | None]:
        """Part the rows that make the update from those that only observe it."""
        return drawn.parted(self.config.completions) if self._observes else (drawn, None)

    def _observer(self, rows: Drawn | None) -> Observer | None:
        return Observer(self.model, rows, self.scalarizer.after, self.config) if rows else None

    def _set_rate(self, step: int) -> float:
        share = min((step + 1) / self.config.warmup, 1.0) if self.config.warmup else 1.0
        rate = self.config.learning_rate * share
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _save(self, step: int, states: States) -> None:
        folder = self.folder / "checkpoints"
        checkpoint.save(folder, step, self.model, self.optimizer, states._asdict())

    def _restore(self) -> tuple[int, States]:
        fresh = States(self.scalarizer.init(), initial_state(torch.ones(1, dtype=torch.float64)))
        found, warnings = checkpoint.restore(
            self.folder / "checkpoints", self.model, self.optimizer, fresh._asdict()
        )
        for warning in warnings:
            _log.warning(warning)
        step = found.step if found else 0
        for name in (records.STEPS, records.TIMING):
            records.cut_back(self.folder / name, step)
        return step, States(**found.states) if found else fresh
