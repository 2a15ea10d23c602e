"""Text and JSON lines on disk: appended and flushed, or written whole."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from covlaw.theory._numerics.errors import CovlawError


class CannotWriteError(CovlawError):
    """The disk is full, or a file cannot be written for another reason."""


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line and flush it to the operating system.

    Raises:
        CannotWriteError: if it cannot be written, e.g. on a full disk.
    """
    with writing_to(path), path.open("a", encoding="utf-8") as file:
        file.write(to_json(record) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSONL file; a line cut by a kill ends it."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:  # a kill can cut a character in two
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def cut_back(path: Path, step: int) -> int:
    """Keep only the records of steps before `step` (on resume), and return how many they are.

    The file is cut, not written anew: what stays is what was recorded, byte for byte.

    Raises:
        CannotWriteError: if the file cannot be changed.
    """
    if not path.exists():
        return 0
    kept = end = 0
    with writing_to(path), path.open("rb+") as file:
        for line in file:
            if not _is_before(line, step):
                break
            kept, end = kept + 1, end + len(line)
        file.truncate(end)
    return kept


def _is_before(line: bytes, step: int) -> bool:
    """Whether a line is whole, and the record of an earlier step."""
    try:
        return line.endswith(b"\n") and bool(json.loads(line)["step"] < step)
    except ValueError:
        return False


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with null for NaN and infinities, sorted as given."""
    return json.dumps(_finite(value), allow_nan=False, ensure_ascii=False, indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Say what cannot be written, and why, instead of failing with a traceback.

    Raises:
        CannotWriteError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise CannotWriteError(f"cannot write to {path}: {error.strerror or error}") from error
