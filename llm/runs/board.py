"""TensorBoard event files, drawn from a run's records and never the other way round."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from covlaw.records.lines import read_lines
from covlaw.records.runs import EVALUATIONS, STEPS
from covlaw.theory._numerics.errors import CovlawError

PLAIN = ("length_mean", "kl_reference", "grad_norm", "clip_fraction_low", "clip_fraction_high")
PER_OBJECTIVE = ("reward_mean", "weights")


def require_board() -> None:
    """Make sure, before any work, that event files can be written.

    Raises:
        CovlawError: if tensorboardX is not installed.
    """
    if find_spec("tensorboardX") is None:
        raise CovlawError(
            "tensorboard=true needs tensorboardX: pip install 'covlaw[tensorboard]', or leave it "
            "out (every number is in steps.jsonl anyway)"
        )


class Board:
    """Event files in a run's `tensorboard/`.

    They are written anew from the records whenever a run starts or continues, so that no point is
    there twice, whatever a kill left behind.

    Args:
        folder: Of the run, its records cut back to where it continues.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        events = folder / "tensorboard"
        for old in events.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = SummaryWriter(str(events), flush_secs=10)
        for name in (STEPS, EVALUATIONS):
            for record in read_lines(folder / name):
                self.add(record)

    def add(self, record: dict[str, Any]) -> None:
        """Draw the points of a line of steps.jsonl or evaluations.jsonl."""
        for tag, value in points(record):
            self._writer.add_scalar(tag, value, record["step"])

    def close(self) -> None:
        """Flush what is still in memory."""
        self._writer.close()


def points(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Name and value of each of a record's numbers; a number that is null has no point."""
    group = record.get("split", "train")
    for field in PER_OBJECTIVE:
        values = record.get(field) or []
        for name, value in zip(record["objectives"], values, strict=False):
            if value is not None:
                yield f"{group}/{field}/{name}", value
    for field in PLAIN:
        if record.get(field) is not None:
            yield f"{group}/{field}", record[field]
