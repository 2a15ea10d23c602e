"""Runs in processes of their own, killed with SIGKILL at a chosen moment.

As a script it is a server: it imports everything once, then forks a process a run, so that a kill
costs no new import. A moment is a time in seconds, or the n-th call of any function, Python's or
C's, while one phase of a run is at work.
"""

import importlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from fork_server import ForkServer

PHASES = {
    "sampling": "covlaw.llm.sampling.engine:TransformersEngine.sample",
    "update": "covlaw.llm.loop.trainer:policy_step",
    "audit": "covlaw.llm.audit.auditor:Auditor.after",
    "evaluation": "covlaw.llm.loop.validation:Validation.record",
    "record": "covlaw.records.runs:append_line",
    "checkpoint": "covlaw.llm.runs.checkpoint:save",
    "final model": "covlaw.llm.runs.checkpoint:save_model",
}


class Moment(NamedTuple):
    """When to kill: after `seconds`, or at the `call`-th call in `phase`; never by default."""

    seconds: float | None = None
    phase: str | None = None
    call: int = 0


NEVER = Moment()


class Outcome(NamedTuple):
    killed: bool
    seconds: float
    calls: dict[str, int]
    """Calls in each phase; empty if killed."""
    errors: str
    """What went to stderr."""


class Killer(ForkServer):
    """Client of the server."""

    script = __file__

    def run(self, config: Any, moment: Moment = NEVER) -> Outcome:
        """Run, or continue, until it ends or the moment comes."""
        return Outcome(*self.ask([asdict(config), moment]))


def contents(run: Path) -> dict[str, bytes]:
    """Everything of a run that must compare bit for bit: all but durations and the folder's name.

    The optimizer's moments are in the checkpoints.
    """
    apart = {"timing.jsonl", "config.toml", "environment.json", ".lock"}
    files = sorted(p for p in run.rglob("*") if p.is_file() and p.name not in apart)
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


class _Watch:
    """Counts calls by phase, and kills its own process at one of them."""

    def __init__(self, moment: Moment) -> None:
        self.moment, self.calls = moment, dict.fromkeys(PHASES, 0)
        for phase, place in PHASES.items():
            module, _, path = place.partition(":")
            *holders, name = path.split(".")
            holder: Any = importlib.import_module(module)
            for part in holders:
                holder = getattr(holder, part)
            setattr(holder, name, self._watched(phase, getattr(holder, name)))

    def _watched(self, phase: str, function: Any) -> Any:
        def count(frame: Any, event: str, argument: Any) -> None:
            if event in ("call", "c_call"):
                self.calls[phase] += 1
                if phase == self.moment.phase and self.calls[phase] == self.moment.call:
                    os.kill(os.getpid(), signal.SIGKILL)

        def watched(*arguments: Any, **named: Any) -> Any:
            outer = sys.getprofile()
            sys.setprofile(count)
            try:
                return function(*arguments, **named)
            finally:
                sys.setprofile(outer)

        return watched


def _child(settings: dict[str, Any], moment: Moment, report: int, errors: int) -> None:
    """The forked process: one run, then its report."""
    from covlaw.llm.config.train_config import TrainConfig
    from covlaw.llm.train import train

    os.dup2(errors, 2)
    watch = _Watch(moment)
    train(TrainConfig.from_dict(settings))
    os.write(report, json.dumps(watch.calls).encode())


def _serve_one(settings: dict[str, Any], moment: Moment) -> Outcome:
    (report, report_end), (errors, errors_end) = os.pipe(), os.pipe()
    started, child = time.monotonic(), os.fork()
    if child == 0:
        try:
            _child(settings, moment, report_end, errors_end)
            os._exit(0)
        except BaseException as error:
            os.write(errors_end, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(report_end)
    os.close(errors_end)
    if moment.seconds is not None:
        time.sleep(moment.seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    said, wrong = (os.fdopen(end).read() for end in (report, errors))
    calls = json.loads(said) if said else {}
    return Outcome(os.WIFSIGNALED(status), time.monotonic() - started, calls, wrong)


def _serve() -> None:
    import covlaw.llm.train  # noqa: F401  # what every fork needs

    for line in sys.stdin:
        settings, moment = json.loads(line)
        print(json.dumps(_serve_one(settings, Moment(*moment))), flush=True)


if __name__ == "__main__":
    _serve()
