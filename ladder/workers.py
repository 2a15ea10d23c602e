"""What runs in the worker processes, each with one thread."""

import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from covlaw.ladder.climb.plan import Job


def start_worker() -> None:
    """Prepare a worker process: one thread, no warnings between the lines of the table.

    Ctrl-C is the parent's to handle, and a worker never outlives its parent: it would go on writing
    into a run that the next ladder continues.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def work(job: Job) -> Any:
    """Do one job; what it returns depends on its kind."""
    return _WORK[job.kind](*job.arguments)


def check_recorded(runs: list[Path], seed: int, rung: str = "llm") -> list[dict[str, Any]]:
    """Check every statement on the audits of recorded LLM runs."""
    from covlaw.llm.rung import instances
    from covlaw.theory.statements import STATEMENTS, check_on
    from covlaw.theory.statements.base import Verdict
    from covlaw.theory.statements.checking import reason_against

    verdicts = []
    for id, statement in STATEMENTS.items():
        if reason := reason_against(statement, rung):
            verdict = Verdict(id, rung, statement.kind, "not_applicable", note=reason)
        else:
            recorded = chain.from_iterable(instances(run, statement.needs) for run in runs)
            verdict = check_on(statement, recorded, rung, seed)
        verdicts.append(asdict(verdict))
    return verdicts


def _check(id: str, rung: str, seed: int, instances: int | None) -> dict[str, Any]:
    from covlaw.theory.statements import check

    return asdict(check(id, rung, seed, instances))


def _measure(name: str, seed: int, quick: bool) -> list[dict[str, Any]]:
    from covlaw.toys.measurements import measure

    return measure(name, seed, quick)


def _base(model: str) -> str:
    from covlaw.llm.model.policy import resolve_model

    return resolve_model(model)


def _train(preset: str, overrides: dict[str, Any]) -> str:
    from covlaw.llm.config.train_config import TrainConfig
    from covlaw.llm.train import train

    return str(train(TrainConfig.preset(preset, **overrides)))


_WORK: dict[str, Callable[..., Any]] = {
    "check": _check,
    "measure": _measure,
    "base": _base,
    "train": _train,
}
