"""Folders that are whole or absent: written aside, sealed with checksums, then renamed."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from covlaw.records.files import CannotWriteError


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Yield a folder of another name; it takes the place of `folder` once the body is done.

    Its files reach the disk before it gets its name. Whatever interrupts the body leaves nothing.

    Raises:
        CannotWriteError: if it cannot be written, e.g. on a full disk.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        remove(temporary)
        temporary.mkdir(parents=True)
        yield temporary
        _flush(temporary)
        remove(folder)
        temporary.rename(folder)
    except (OSError, SafetensorError) as error:
        raise CannotWriteError(f"cannot write {folder} ({error}): make room for it") from error
    finally:
        remove(temporary)


def remove(folder: Path) -> None:
    """Remove a folder, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
