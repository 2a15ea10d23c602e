"""What the ranks other than 0 keep of a run: where it stands, and nothing on disk."""

from typing import Any

import torch

from covlaw.llm.distributed.processes import active
from covlaw.llm.loop.step_record import Lines
from covlaw.llm.runs import checkpoint
from covlaw.llm.runs.checkpoint_manager import CheckpointManager, States


class WorkerCheckpoints(CheckpointManager):
    """Restores what rank 0 restored, and writes nothing."""

    def restore(self, fresh: States) -> None:
        """Go back to the newest whole checkpoint, once rank 0 has cut the records back to it.

        Raises:
            CovlawError: if there are checkpoints but none can be used.
        """
        restored = int(active().agreed(torch.tensor(0), "the restored step"))
        found, _ = checkpoint.restore(
            self.folder / "checkpoints",
            self.model,
            self.optimizer,
            fresh._asdict(),
            recorded=restored,
        )
        self.done = self.saved = found.step if found else 0
        self.states = States(**found.states) if found else fresh

    def evaluated(self, record: dict[str, Any]) -> None:
        """Rank 0 records it."""

    def finished(self, lines: Lines, seconds: float, states: States) -> None:
        """Move on."""
        self.done, self.states = lines.step["step"] + 1, states
        if self.due:
            self.saved = self.done

    def save(self) -> None:
        """Rank 0 does."""

    def keep(self) -> None:
        """Rank 0 does."""

    def finish(self, tokenizer: Any) -> None:
        """Rank 0 does."""
