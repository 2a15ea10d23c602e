"""A user's rewards in a process of their own, which a time limit can end whatever it does.

A function that hangs inside the interpreter (a tower of powers), in C code or on a socket cannot
be stopped from its own process: an alarm signal waits for the interpreter, a thread cannot be
killed. A process can. It is started once for each module and kept for the whole run; batches
travel as JSON lines, whose float64 numbers are exact.
"""

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import torch

from covlaw.llm.rewards.calling import Opinions, RewardBatch
from covlaw.theory._numerics.errors import CovlawError

START_SECONDS = 300.0
"""For importing the user's module, which may load a model."""

GRACE = 5.0
"""Seconds after its limit at which a process ends itself, where nobody has ended it."""

_workers: "dict[tuple[str, float], RewardWorker]" = {}
"""By module or file, and when the file was changed."""


class RewardTimeoutError(CovlawError):
    """A reward took longer than its limit; its process was ended."""


class RewardWorker:
    """The process of one module's rewards, started when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def find(self, target: str, columns: Sequence[str] | None = None) -> None:
        """Import a reward there, and where the task's columns are known see that they do.

        Raises:
            CovlawError: if it cannot be imported, or asks for what there is not.
        """
        asked = {} if columns is None else {"columns": list(columns)}
        with self._lock:
            answer = self._ask({"target": target, **asked}, START_SECONDS)
        if "error" in answer:
            raise CovlawError(answer["error"])

    def score(self, target: str, batch: RewardBatch, seconds: float) -> Opinions:
        """Score a batch within `seconds` of wall clock: as `covlaw.llm.rewards.calling.call`.

        Raises:
            RewardTimeoutError: when time is up.
            CovlawError: with the function's own error, or if its process died.
        """
        given = {
            "completions": list(batch.completions),
            "references": list(batch.references),
            "lengths": batch.lengths.tolist(),
            "state": {name: value.tolist() for name, value in batch.state._asdict().items()},
            "prompts": [getattr(prompt, "turns", prompt) for prompt in batch.prompts],
            "columns": {name: list(values) for name, values in batch.columns.items()},
        }
        with self._lock:
            if self._process is None:  # a new one: importing does not count
                self._ask({"target": target}, START_SECONDS)
            answer = self._ask({"target": target, **given}, seconds)
        if "error" in answer:
            raise CovlawError(answer["error"])
        scores: list[float | None] = answer["scores"]
        return scores if None in scores else torch.tensor(scores, dtype=torch.float64)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    cast(IO[bytes], stream).close()
        self._process, self._buffer = None, b""

    def forget(self) -> None:
        """In a forked child: leave the parent's process alone."""
        self._process, self._buffer, self._lock = None, b"", threading.Lock()

    def _ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self._process is None:
            self._process = _start()
        # a column may hold dates and the like: they travel as text
        line = json.dumps(question | {"seconds": seconds + GRACE}, default=str).encode() + b"\n"
        try:
            with contextlib.suppress(BrokenPipeError):  # it died: the answer says so
                cast(IO[bytes], self._process.stdin).write(line)
                cast(IO[bytes], self._process.stdin).flush()
            return self._answer(self._process, seconds)
        except BaseException:  # a late answer must not serve the next question
            self.stop()
            raise

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        """Read a line without waiting longer than `seconds` for all of it."""
        end, source = time.monotonic() + seconds, cast(IO[bytes], process.stdout).fileno()
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([source], [], [], left)[0]:
                raise RewardTimeoutError(f"no answer within {seconds:g} s")
            part = os.read(source, 2**20)
            if not part:
                raise CovlawError(f"its process ended with exit code {process.wait()}")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _start() -> subprocess.Popen[bytes]:
    path = json.dumps([entry or str(Path.cwd()) for entry in sys.path])
    # the system tells a child of the end of the thread that started it: others end while we live
    main = threading.current_thread() is threading.main_thread()
    return subprocess.Popen(  # noqa: S603 (our own module, our own interpreter)
        [sys.executable, "-m", "covlaw.llm.rewards.worker_process", path, str(os.getpid() * main)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def worker_of(place: str) -> RewardWorker:
    """Return the one worker of a module or file; a changed file gets a new one."""
    file = Path(place).expanduser()
    changed = file.stat().st_mtime if file.suffix == ".py" and file.is_file() else 0.0
    return _workers.setdefault((place, changed), RewardWorker())


def _stop_all() -> None:
    for worker in _workers.values():
        worker.stop()


def _forget_all() -> None:
    for worker in _workers.values():
        worker.forget()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_forget_all)
