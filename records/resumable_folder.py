"""A folder whose rows are appended as work finishes, so that a kill loses only what was at work."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from covlaw.records.lines import cut_back
from covlaw.records.lock import alone_in
from covlaw.records.runs import (
    CONFIG,
    AnotherRunError,
    append_line,
    holds_run,
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
        self.settings_record = settings
        fresh = fresh and path.exists() and any(path.iterdir())
        self._require_ours(fresh)  # before there is a lock in somebody else's folder
        with alone_in(path):
            if fresh:
                self.clear()
                start_run(path, settings)  # files that are not ours stay beside it
            self._open()
            (path / FAILURES).unlink(missing_ok=True)  # what crashed is tried again

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only process at work in it, and find it as it was when it was opened.

        Raises:
            CovlawError: if another process is at work in it, or has made it another's since.
        """
        with alone_in(self.path):
            self._open()
            yield

    def _open(self, look: Callable[..., object] = open_run) -> None:
        try:
            look(self.path, self.settings_record)
        except AnotherRunError as error:
            raise CovlawError(f"{error}, or start over in it with --fresh") from error

    def _require_ours(self, fresh: bool) -> None:
        """Refuse a folder of something else, and leave it as it is."""
        if fresh:
            if not (self.path / CONFIG).exists() or read_config(self.path).get("kind") != self.kind:
                raise CovlawError(
                    f"{self.path} holds no {self.kind}: nothing is removed; choose another folder"
                )
        else:
            self._open(holds_run)

    def clear(self) -> None:
        """Remove what earlier work of this kind left."""
        for name in (*self.ours, self.rows, FAILURES):
            (self.path / name).unlink(missing_ok=True)

    def recorded(self) -> list[dict[str, Any]]:
        """Rows recorded so far; a line cut by a kill is removed, an unreadable one set aside."""
        cut_back(self.path / self.rows)  # the next must not be appended to half a line
        return list(read_lines(self.path / self.rows))

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
