"""A study's folder: rows are appended as jobs finish, so a kill loses at most the jobs at work."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from covlaw.ladder.study_settings import StudySettings
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

RUNS, TABLE, SUMMARY, FAILURES = "runs.jsonl", "table.jsonl", "summary.json", "failures.log"


class StudyFolder:
    """The files of one study.

    Args:
        path: Folder; created, or continued if it holds the same study.
        settings: What the study is.
        fresh: Remove an earlier study's files first (only those that a study writes).

    Raises:
        CovlawError: if the folder holds something else, or cannot be written.
    """

    def __init__(self, path: Path, settings: StudySettings, fresh: bool = False) -> None:
        self.path = path
        if fresh and path.exists() and any(path.iterdir()):
            _clear(path, settings)
        try:
            open_run(path, settings.to_dict())
        except AnotherRunError as error:
            raise CovlawError(f"{error}, or start over in it with --fresh") from error
        (path / FAILURES).unlink(missing_ok=True)  # what crashed is tried again

    def finished(self) -> dict[str, dict[str, Any]]:
        """Rows recorded so far, by run; a line cut by a kill is removed."""
        path = self.path / RUNS
        rows = list(read_lines(path))
        if path.exists():  # the next row must not be appended to half a line
            write_text(path, "".join(to_json(row) + "\n" for row in rows))
        return {row["run"]: row for row in rows}

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Record the rows of a job."""
        for row in rows:
            append_line(self.path / RUNS, row)

    def fail(self, job: str, error: str) -> None:
        """Record a job that crashed."""
        with (self.path / FAILURES).open("a", encoding="utf-8") as file:
            file.write(f"{job}\n{error}\n")

    def write_table(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the tidy table, whole or not at all: the same settings give the same bytes."""
        write_text(self.path / TABLE, "".join(to_json(row) + "\n" for row in rows))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write what was found."""
        write_text(self.path / SUMMARY, to_json(summary, indent=1) + "\n")


def _clear(path: Path, settings: StudySettings) -> None:
    if not (path / CONFIG).exists() or read_config(path).get("kind") != "study":
        raise CovlawError(f"{path} holds no study: nothing is removed; choose another folder")
    for name in (RUNS, TABLE, SUMMARY, FAILURES):
        (path / name).unlink(missing_ok=True)
    start_run(path, settings.to_dict())  # LLM runs beside it continue or are refused by their own
