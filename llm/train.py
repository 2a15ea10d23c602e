"""A run from its settings to its finished model, through kills, mistakes and full disks."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active, ranks_of_run
from covlaw.llm.distributed.state import require_same_state
from covlaw.llm.distributed.worker_checkpoints import WorkerCheckpoints
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.loop.validation import SPLIT, Validation
from covlaw.llm.model.adapters import require_peft
from covlaw.llm.model.identity import cached_commit
from covlaw.llm.model.shared_prompts import shared_prompts
from covlaw.llm.plan.fitting import require_memory, with_micro_batch
from covlaw.llm.plan.size import size_of
from covlaw.llm.runs.board import require_board
from covlaw.llm.runs.checkpoint_manager import CheckpointManager, States
from covlaw.llm.runs.same_run import (
    BASE_MODEL,
    Claim,
    claimed,
    inputs_of,
    require_same_inputs,
)
from covlaw.llm.runs.stop_signals import Stopped, stop_signals
from covlaw.llm.sampling.engines import require_engine
from covlaw.llm.sampling.prompts import load_split
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.threads import thread_count
from covlaw.records import runs as records
from covlaw.theory._numerics.errors import CovlawError

_log = logging.getLogger("covlaw")

Progress = Callable[[int, int, dict[str, Any]], None]
"""(steps done, steps in all, the newest record and its `seconds`)."""


def train(config: TrainConfig, progress: Progress | None = None) -> Path:
    """Run, or continue, one RL run and return its folder.

    A run that was killed continues where its newest whole checkpoint stands; at a fixed thread
    count its records equal those of an unbroken run, bit for bit (durations are kept apart). Where
    a launcher started several processes they share the work, and rank 0 writes.

    Raises:
        CovlawError: on bad settings, an unreachable model, a folder that holds another run or is
            in use, a reward that fails, a policy that diverges, or another process that fails;
            what was recorded stays.
    """
    with thread_count(config.threads), shared_prompts(config.share_prompts):
        return _train(config, progress)


def _train(config: TrainConfig, progress: Progress | None) -> Path:
    # an unknown reward is named before there is a folder or a model
    Rewards(config.rewards, config.reward_seconds)
    require_engine(config)
    config = with_micro_batch(config)
    if config.lora:
        require_peft()
    if config.tensorboard:
        require_board()
    folder = Path(config.out)
    with (
        ranks_of_run(config) as (ranks, own),
        claimed(folder, config) if ranks.first else nullcontext(Claim()) as claim,
    ):
        if not ranks.yes(claim.finished, "whether the run is finished"):
            _begin(folder, own, known=claim.known, progress=progress)
    return folder


def _begin(folder: Path, own: TrainConfig, *, known: bool, progress: Progress | None) -> None:
    """Start, or go on, in a folder that is ours; what cannot start leaves nothing to continue."""
    ranks = active()
    inputs = inputs_of(own) if ranks.first else {}
    longest = max(len(problem.prompt) for problem in load_split(own, "train"))
    tight = require_memory(own, size_of(own.model), longest)
    if tight and ranks.first:
        _log.warning("%s", tight)
    if known:
        require_same_inputs(folder, inputs)
    trainer = Trainer(own)
    if ranks.first:  # a model from a hub is known once it is loaded
        inputs |= {"end tokens": " ".join(map(str, trainer.ends))}
        if commit := cached_commit(own.model):
            inputs |= {BASE_MODEL: commit}
        if known:
            require_same_inputs(folder, inputs)
    loop = TrainingLoop(trainer, folder)
    if ranks.first and not known:
        records.start_run(folder, own.to_dict(), own.device, ranks.size, inputs)
    loop.finish(progress if ranks.first else None)


class TrainingLoop:
    """The loop over a run's steps.

    Args:
        trainer: Does the steps.
        folder: Of the run.
    """

    def __init__(self, trainer: Trainer, folder: Path) -> None:
        self.trainer, config = trainer, trainer.config
        self.steps = config.steps
        manager = CheckpointManager if active().first else WorkerCheckpoints
        self.checkpoints = manager(folder, trainer.model, trainer.optimizer, config)
        self.validation = (
            Validation(trainer.measuring, trainer.prompts(load_split(config, SPLIT)), config)
            if config.evaluate_every
            else None
        )

    def finish(self, progress: Progress | None) -> None:
        """Do the steps that are left, then write the final model.

        Raises:
            CovlawError: if something fails, after saving a checkpoint of the last whole state.
            Stopped: at SIGTERM or SIGHUP, after the step at work and a checkpoint of it.
            KeyboardInterrupt: saying how to continue.
        """
        self.checkpoints.restore(self.trainer.fresh())
        self._check(self.checkpoints.done, self.checkpoints.states)
        self.trainer.engine.sync(self.trainer.model)
        try:
            with stop_signals(active().alone) as asked:
                while self.checkpoints.done < self.steps:
                    self._advance(progress)
                    if asked():
                        raise Stopped(asked())
                self._validate()
                self.checkpoints.finish(self.trainer.tokenizer)
        except CovlawError as error:
            raise CovlawError(self.checkpoints.stopped(error)) from error
        except Stopped as told:
            self.checkpoints.keep()
            raise Stopped(told.number, self.checkpoints.word()) from told
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(f"interrupted ({self.checkpoints.word()})") from interrupt
        finally:
            self.checkpoints.close()

    def _advance(self, progress: Progress | None) -> None:
        """Do one step and record it."""
        started, step = time.perf_counter(), self.checkpoints.done
        active().at_step(step)
        self._validate()
        states, lines = self.trainer.step(step, self.checkpoints.states)
        self._check(step + 1, states)
        seconds = round(time.perf_counter() - started, 4)
        self.checkpoints.finished(lines, seconds, states)
        if progress:
            progress(step + 1, self.steps, lines.step | {"seconds": seconds})

    def _check(self, done: int, states: States) -> None:
        """Make sure that all ranks are at the same state."""
        require_same_state(done, states, self.trainer.model)

    def _validate(self) -> None:
        """Evaluate the policy where that is due, and at the end."""
        done, states = self.checkpoints.done, self.checkpoints.states
        if self.validation and (self.validation.due(done) or done == self.steps):
            self.checkpoints.evaluated(self.validation.record(done, states.rewards))
