"""A folder whose rows are appended as work finishes, so that a kill loses only what was at work."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from covlaw.records.runs import (
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
from covlaw.theory._numerics.errors import CovlawError

FAILURES = "failures.log"


class ResumableFolder:
    """What a ladder's and a study's folder have in common.

    Args:
        path: Folder; created, or continued if it holds the same work.
        settings: TOML-able record of what the work is.
        fresh: Remove what earlier work left first (only files that such work writes).

    Raises:
        CovlawError: if the folder holds something else, or cannot be written.
    """

    kind: ClassVar[str]
    """`kind` in config.toml."""
    rows: ClassVar[str]
    """The file that finished work is appended to."""
    ours: ClassVar[tuple[str, ...]]
    """Files that such work writes, and `fresh` removes."""

    def __init__(self, path: Path, settings: dict[str, Any], fresh: bool = False) -> None:
        self.path = path
        if fresh and path.exists() and any(path.iterdir()):
            self.clear()
            start_run(path, settings)  # files that are not ours stay beside it
        try:
            open_run(path, settings)
        except AnotherRunError as error:
            raise CovlawError(f"{error}, or start over in it with --fresh") from error
        (path / FAILURES).unlink(missing_ok=True)  # what crashed is tried again

    def clear(self) -> None:
        """Remove what earlier work of this kind left.

        Raises:
            CovlawError: if the folder holds anything else instead.
        """
        path = self.path
        if not (path / CONFIG).exists() or read_config(path).get("kind") != self.kind:
            raise CovlawError(
                f"{path} holds no {self.kind}: nothing is removed; choose another folder"
            )
        for name in (*self.ours, self.rows, FAILURES):
            (path / name).unlink(missing_ok=True)

    def recorded(self) -> list[dict[str, Any]]:
        """Rows recorded so far; a line cut by a kill is removed."""
        rows = list(read_lines(self.path / self.rows))
        if (self.path / self.rows).exists():  # the next must not be appended to half a line
            self.write_lines(self.rows, rows)
        return rows

    def append(self, row: dict[str, Any]) -> None:
        """Record one row."""
        append_line(self.path / self.rows, row)

    def write_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write a file of rows, whole or not at all: the same rows give the same bytes."""
        write_text(self.path / name, "".join(to_json(row) + "\n" for row in rows))

    def fail(self, job: str, error: str) -> None:
        """Record a job that crashed."""
        with (self.path / FAILURES).open("a", encoding="utf-8") as file:
            file.write(f"{job}\n{error}\n")
