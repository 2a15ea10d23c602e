"""A ladder's folder: finished work is appended as it comes, so a kill loses at most one job."""

import shutil
from pathlib import Path
from typing import Any

from covlaw import __version__
from covlaw.ladder.plan import Settings, order_of
from covlaw.llm.records import (
    CONFIG,
    AnotherRunError,
    append_line,
    open_run,
    read_config,
    read_lines,
    start_run,
    to_json,
    write_text,
)
from covlaw.theory.errors import CovlawError

SCHEMA = 1
FAILURES = "failures.log"
_OURS = (
    "config.toml",
    "environment.json",
    "verdicts.json",
    "verdicts.jsonl",
    "budgets.jsonl",
    "geometry.jsonl",
    FAILURES,
    "report.html",
)


class LadderFolder:
    """The files of one ladder.

    Args:
        path: Folder; created, or continued if it holds the same ladder.
        settings: What the ladder is.
        fresh: Remove an earlier ladder's files first (only files that a ladder writes).

    Raises:
        CovlawError: if the folder holds something else, or cannot be written.
    """

    def __init__(self, path: Path, settings: Settings, fresh: bool = False) -> None:
        self.path, self.settings = path, settings
        if fresh and path.exists():
            _clear(path, settings)
        try:
            open_run(path, settings.to_dict())
        except AnotherRunError as error:
            raise CovlawError(f"{error}, or start over in it with --fresh") from error
        self.failures.unlink(missing_ok=True)  # what crashed is tried again

    @property
    def failures(self) -> Path:
        """Where the tracebacks of this climb's crashed jobs are."""
        return self.path / FAILURES

    def finished(self) -> dict[str, dict[str, Any]]:
        """Verdicts recorded so far, by job name; a line cut by a kill is removed."""
        path = self.path / "verdicts.jsonl"
        verdicts = list(read_lines(path))
        if path.exists():  # the next verdict must not be appended to half a line
            write_text(path, "".join(to_json(verdict) + "\n" for verdict in verdicts))
        return {f"{v['id']} {v['rung']}": v for v in verdicts}

    def add(self, verdict: dict[str, Any]) -> None:
        """Record one verdict."""
        append_line(self.path / "verdicts.jsonl", verdict)

    def has_records(self, name: str) -> bool:
        """Whether some measurements ("budgets", "geometry") are recorded."""
        return (self.path / f"{name}.jsonl").exists()

    def write_records(self, name: str, records: list[dict[str, Any]]) -> None:
        """Record measurements, whole or not at all."""
        write_text(self.path / f"{name}.jsonl", "".join(to_json(r) + "\n" for r in records))

    def fail(self, job: str, error: str) -> None:
        """Record a job that crashed."""
        with self.failures.open("a", encoding="utf-8") as file:
            file.write(f"{job}\n{error}\n")

    def write_verdicts(self, verdicts: list[dict[str, Any]]) -> None:
        """Write verdicts.json: the same settings give the same bytes."""
        record = {
            "schema": SCHEMA,
            "covlaw": __version__,
            "seed": self.settings.seed,
            "quick": self.settings.quick,
            "omitted": self.settings.omitted,
            "verdicts": sorted(verdicts, key=order_of),
        }
        write_text(self.path / "verdicts.json", to_json(record, indent=1) + "\n")


def _clear(path: Path, settings: Settings) -> None:
    if not any(path.iterdir()):
        return
    if not (path / CONFIG).exists() or read_config(path).get("kind") != "ladder":
        raise CovlawError(f"{path} holds no ladder: nothing is removed; choose another folder")
    for name in _OURS:
        (path / name).unlink(missing_ok=True)
    for run in (path / "llm").glob("*"):
        if (run / CONFIG).exists():
            shutil.rmtree(run)
    start_run(path, settings.to_dict())  # files that are not ours stay beside it
