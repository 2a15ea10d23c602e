"""What a run keeps on disk while it goes: records, checkpoints, and where it stands."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.loop.step_record import Lines
from covlaw.llm.rewards import RewardState
from covlaw.llm.runs import checkpoint
from covlaw.llm.runs.board import Board
from covlaw.llm.runs.checkpoint_reading import Checkpoint
from covlaw.llm.runs.same_run import of_checkpoints
from covlaw.records import runs as records
from covlaw.records.files import CannotWriteError
from covlaw.theory._numerics.errors import CovlawError

_log = logging.getLogger("covlaw")


class NoState(NamedTuple):
    """Of what remembers nothing."""


class States(NamedTuple):
    """What changes between steps besides the model and the optimizer."""

    scalarizer: Any
    rewards: RewardState
    guard: Any = NoState()
    """What restoring floors remember."""


class CheckpointManager:
    """Restores a run, records its steps and saves its checkpoints.

    Args:
        folder: Of the run.
        model: The policy.
        optimizer: Its optimizer.
        config: Of the run.
    """

    def __init__(
        self, folder: Path, model: Any, optimizer: torch.optim.Optimizer, config: TrainConfig
    ) -> None:
        self.folder, self.config = folder, config
        self.model, self.optimizer = model, optimizer
        self.done = self.saved = 0
        """Steps done; steps that the newest checkpoint holds."""
        self.states: States
        """After the steps done, once restored."""
        self._moved = False
        """Whether parameters have moved since then."""
        self._evaluations = set[Any]()
        """Steps whose evaluations are recorded."""
        self.board: Board | None = None
        optimizer.register_step_pre_hook(self._on_move)

    def _on_move(self, *_: Any) -> None:
        self._moved = True

    def restore(self, fresh: States) -> None:
        """Go back to the newest whole checkpoint, and cut the records back to it.

        Raises:
            CovlawError: if there are checkpoints but none can be used.
        """
        steps = self.folder / records.STEPS
        found, warnings = checkpoint.restore(
            self.folder / "checkpoints",
            self.model,
            self.optimizer,
            fresh._asdict(),
            recorded=records.recorded_steps(steps),
            settings=of_checkpoints(self.config),
        )
        for warning in (*warnings, *_other_size(found)):
            _log.warning(warning)
        self.done = self.saved = found.step if found else 0
        for name in records.BY_STEP:
            # an evaluation of step k is of the policy before that step
            beyond = self.done + (name == records.EVALUATIONS and self.done > 0)
            records.cut_back(self.folder / name, beyond)
        evaluations = records.read_lines(self.folder / records.EVALUATIONS)
        self._evaluations = {record.get("step") for record in evaluations}
        self.states = States(**found.states) if found else fresh
        if self.config.tensorboard:
            self.board = Board(self.folder)
        active().agreed(
            torch.tensor(self.done), "the restored step"
        )  # others read it after the cut

    @property
    def due(self) -> bool:
        """Whether a checkpoint belongs after the steps done."""
        return self.done % self.config.checkpoint_every == 0 or self.done == self.config.steps

    def evaluated(self, record: dict[str, Any]) -> None:
        """Record an evaluation, once: a run that goes on beyond its end has its last one."""
        if record["step"] in self._evaluations:
            return
        records.append_line(self.folder / records.EVALUATIONS, record)
        if self.board:
            self.board.add(record)

    def finished(self, lines: Lines, seconds: float, states: States) -> None:
        """Record a step that is done, and save a checkpoint where one is due."""
        record = lines.step
        timing = {"step": record["step"], "seconds": seconds, **lines.timing}
        if lines.samples:
            records.append_line(self.folder / records.SAMPLES, lines.samples)
        records.append_line(self.folder / records.STEPS, record)
        records.append_line(self.folder / records.TIMING, timing)
        self.done, self.states, self._moved = record["step"] + 1, states, False
        if self.board:
            self.board.add(record)
        if self.due:
            self.save()

    def save(self) -> None:
        """Save a checkpoint of the steps done."""
        folder, keep = self.folder / "checkpoints", self.config.keep_checkpoints
        states = self.states._asdict()
        size = active().size
        settings = of_checkpoints(self.config)
        checkpoint.save(folder, self.done, self.model, self.optimizer, states, keep, size, settings)
        self.saved = self.done

    def keep(self) -> None:
        """Save a checkpoint of the steps done, unless there is one."""
        if self.done > self.saved:
            self.save()

    def finish(self, tokenizer: Any) -> None:
        """Write the finished model: a plain Hugging Face folder."""
        checkpoint.save_model(self.folder / "model", self.model, tokenizer)

    def close(self) -> None:
        """Let go of open files."""
        if self.board:
            self.board.close()

    def stopped(self, error: CovlawError) -> str:
        """Save the last whole state, where it still stands; say what failed and how to continue.

        Once an optimizer step has moved the parameters it is gone, and the newest checkpoint is
        next; where nothing can be written, too.
        """
        if self.done > self.saved and not (self._moved or isinstance(error, CannotWriteError)):
            self.save()
        return f"{error} ({self.word()})"

    def word(self) -> str:
        """Where the run stands, and how to continue."""
        again = f"the same command continues from step {self.saved}"
        return f"stopped after {self.done} of {self.config.steps} steps; {again}"


def _other_size(found: Checkpoint | None) -> list[str]:
    """Say that completions will differ from those of a run that kept its number of processes."""
    size = active().size
    if found is None or found.ranks == size:
        return []
    return [
        f"the run had {found.ranks} processes at step {found.step} and has {size} now: the law of "
        "its samples stays, their random numbers do not (docs/distributed.md)"
    ]
