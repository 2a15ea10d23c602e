"""What happens around a command: Ctrl-C before it has begun, a reader of its output that leaves."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NoReturn

from covlaw.ladder.exit_codes import INTERRUPTED


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C ends the process at once: for imports, which leave nothing behind to keep.

    As an exception it could surface anywhere in an import, and extension modules may turn it into
    an ImportError. A handler that somebody else has set is left alone.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def reader_gone() -> bool:
    """Whether nobody reads our output any more (`covlaw check | head`).

    A BrokenPipeError alone does not say so: it may come from a process that we write to.
    """
    return any(_broken(stream) for stream in (sys.stdout, sys.stderr))


def fall_silent() -> None:
    """Send what nobody reads nowhere, so that Python does not complain of it at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if _broken(stream):
            os.dup2(nowhere, stream.fileno())


def _broken(stream: IO[str] | None) -> bool:
    """Ask the system: Python may have dropped what it could not write, and flush in peace."""
    if stream is None or not hasattr(select, "poll"):
        return False
    waiting = select.poll()
    try:
        waiting.register(stream.fileno(), 0)
    except (OSError, ValueError):  # no file at all, or closed by ourselves
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in waiting.poll(0))


def _leave(*_: object) -> NoReturn:
    os.write(2, b"covlaw: interrupted before anything was done\n")
    os._exit(INTERRUPTED)
