"""Hard questions behind a hard limit: a process of its own that the kernel ends when time is up.

An alarm signal would work in the main thread only, and not while one long operation of the
interpreter runs (a tower of powers); a limit on the process's CPU time works in any thread or
worker and does not depend on how busy the machine is. POSIX only.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, cast

from covlaw.llm.rewards.answers import budget
from covlaw.llm.rewards.answers.floating import to_lists
from covlaw.llm.rewards.answers.tree import Tree
from covlaw.theory._numerics.errors import CovlawError

CPU_SECONDS = 3.0
"""For one question; ordinary ones take milliseconds."""

_PROGRAM = Path(__file__).with_name("judge_process.py")
_abandoned: list[subprocess.Popen[str]] = []
_process: subprocess.Popen[str] | None = None
_lock = threading.Lock()


def ask(answer: str, reference: str) -> bool:
    """Ask math-verify whether a LaTeX answer equals the reference.

    Raises:
        OutOfTimeError: when the question takes more than `CPU_SECONDS`.
        OutOfBudgetError: when the batch's time is used up (`budget.batch`).
        CovlawError: when math-verify cannot be started.
    """
    return _decide({"texts": [answer, reference]})


def same_value(answer: Tree, reference: Tree) -> bool:
    """Ask whether two expressions have the same value, to hundreds of digits; raises as `ask`."""
    return _decide({"trees": [to_lists(answer), to_lists(reference)]})


def _decide(question: dict[str, Any]) -> bool:
    shared = budget.current()
    seconds = CPU_SECONDS if shared is None else min(CPU_SECONDS, shared.left)
    if seconds <= 0:
        raise budget.OutOfBudgetError
    with _lock:
        process = _running()
        try:
            _write(process, json.dumps({"seconds": seconds, **question}))
            verdict, _, spent = _read(process).partition(" ")
        except BrokenPipeError:
            verdict = spent = ""
        except BaseException:  # an interrupt: the late verdict must not answer the next question
            _stop()
            raise
        if not verdict:
            _stop()
    if shared is not None:
        shared.left -= float(spent or seconds)
    if not verdict:
        raise budget.OutOfTimeError if seconds == CPU_SECONDS else budget.OutOfBudgetError
    return verdict == "equal"


def _running() -> subprocess.Popen[str]:
    global _process  # one process serves all threads
    if _process is None or _process.poll() is not None:
        _stop()
        _process = _start()
    return _process


def _start() -> subprocess.Popen[str]:
    path = json.dumps([entry or str(Path.cwd()) for entry in sys.path])
    process = subprocess.Popen(  # noqa: S603 (our own file, our own interpreter)
        [sys.executable, "-P", str(_PROGRAM), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    if _read(process) != "ready":
        _end(process)
        raise CovlawError("math-verify cannot be started: pip install 'covlaw[llm]'")
    return process


def _write(process: subprocess.Popen[str], line: str) -> None:
    stdin = cast(IO[str], process.stdin)
    stdin.write(line + "\n")
    stdin.flush()


def _read(process: subprocess.Popen[str]) -> str:
    return cast(IO[str], process.stdout).readline().strip()


def _stop() -> None:
    global _process
    if _process is not None:
        _end(_process)
        _process = None


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:  # a question that nobody will read any more
                continue


def _forget() -> None:
    """In a forked child: leave the parent's process and lock alone."""
    global _process, _lock
    if _process is not None:
        _abandoned.append(_process)
    _process, _lock = None, threading.Lock()


atexit.register(_stop)
os.register_at_fork(after_in_child=_forget)
