"""One process a folder: two that write into the same one would spoil both's records."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covlaw.theory._numerics.errors import CovlawError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the system lets go of it when the process ends, however it ends.

    What is checked before it is held may have changed: check again inside.

    Raises:
        CovlawError: if another process holds it, or it cannot be written.
    """
    from filelock import FileLock, Timeout  # torch brings it

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise CovlawError(
            f"another process is at work in {folder}: wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise CovlawError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
