"""A study's folder: rows are appended as jobs finish, table and summary written whole."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from covlaw.ladder.study.settings import StudySettings
from covlaw.records.resumable_folder import ResumableFolder
from covlaw.records.runs import to_json, write_text

RUNS, TABLE, SUMMARY = "runs.jsonl", "table.jsonl", "summary.json"


class StudyFolder(ResumableFolder):
    """The files of one study (arguments and errors as `ResumableFolder`).

    LLM runs beside it are never removed: each continues, or is refused by its own settings.
    """

    kind, rows = "study", RUNS
    ours = (TABLE, SUMMARY)

    def __init__(self, path: Path, settings: StudySettings, fresh: bool = False) -> None:
        super().__init__(path, settings.to_dict(), fresh)

    def finished(self) -> dict[str, dict[str, Any]]:
        """Rows recorded so far, by run."""
        return {row["run"]: row for row in self.recorded()}

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Record the rows of a job."""
        for row in rows:
            self.append(row)

    def write_table(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the tidy table."""
        self.write_lines(TABLE, rows)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write what was found."""
        write_text(self.path / SUMMARY, to_json(summary, indent=1) + "\n")
