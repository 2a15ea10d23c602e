"""One command of covlaw in a process group of its own, killed when its time has come.

The campaign imports everything once and forks, so that a kill costs no new import; the commands'
own worker processes start as ever.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Ending(NamedTuple):
    """How a start ended."""

    killed: bool
    code: int
    """Exit code where it ended by itself."""
    seconds: float


def start(arguments: list[str], folder: Path, log: Path) -> int:
    """Fork a command that works in a folder and writes what it says to a file.

    Returns:
        The process, which leads a group of its own.
    """
    child = os.fork()
    with suppress(OSError):  # both do it, as a kill may come before the child has begun
        os.setpgid(child, child)
    if child:
        return child
    os.chdir(folder)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(old, new)
    code = 70
    try:
        from covlaw.ladder.cli import main

        sys.argv = ["covlaw", *arguments]
        code = main(arguments)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(
    process: int, kill_after: float, alone: bool, limit: float, clock: Callable[[], float]
) -> Ending:
    """Wait for a process, and kill it when its time has come.

    Args:
        process: From `start`.
        kill_after: Seconds; infinity: never.
        alone: Kill the process itself, and leave its workers to end by themselves; or all.
        limit: Seconds after which a process that should end is taken for hung.
        clock: Seconds.
    """
    began = clock()
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return Ending(code < 0, code, clock() - began)
        if clock() - began > min(kill_after, limit):
            (os.kill if alone and kill_after < limit else os.killpg)(process, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            return Ending(code < 0 and kill_after < limit, code, clock() - began)
        time.sleep(0.005)


def alive(group: int) -> bool:
    """Tell whether a group still has a process that works; only where there is a /proc."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = status.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # it has just ended
            continue
        if int(of_group) == group and state not in "ZX":
            return True
    return False
