"""Text and JSON lines on disk: appended and flushed, or written whole."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from covlaw.theory._numerics.errors import CovlawError


class CannotWriteError(CovlawError):
    """The disk is full, or a file cannot be written for another reason."""


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: temporary name, then rename.

    Raises:
        CannotWriteError: if it cannot be written, e.g. on a full disk; what stood there stays.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """The same of bytes.

    Raises:
        CannotWriteError: if it cannot be written, e.g. on a full disk; what stood there stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing_to(path):
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line and flush it to the operating system.

    Raises:
        CannotWriteError: if it cannot be written, e.g. on a full disk.
    """
    with writing_to(path), path.open("a", encoding="utf-8") as file:
        file.write(to_json(record) + "\n")


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
