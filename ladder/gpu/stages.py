"""The stages: each continues where it was stopped, and says what it made."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from covlaw.ladder.gpu.budget import Budget, Steps
from covlaw.ladder.gpu.scale import METHODS, Scale
from covlaw.ladder.progress import training_news
from covlaw.llm.base.large import train_large
from covlaw.llm.loop.throughput import Timing, time_passes
from covlaw.llm.model.policy import resolve_model
from covlaw.llm.train import train
from covlaw.records import runs as records
from covlaw.records.verdict.verdict import run_verdict
from covlaw.theory._numerics.errors import CovlawError

BASE, RUNS, VERDICT, THROUGHPUT = "base", "runs", "verdict.json", "throughput.json"
REAL, REAL_METHODS = "real", ("linear", "guarded")


class WaitsError(CovlawError):
    """The stage starts from what an earlier one has not made yet."""


class Work(NamedTuple):
    """What every stage is given."""

    scale: Scale
    out: Path
    budget: Budget


def train_base(work: Work) -> str:
    """Stage 1: the base model, from random weights."""
    steps = Steps("base model", work.budget)

    def news(done: int, total: int, loss: float) -> None:
        steps(done, total, f"loss {loss:.3f} nats a token")

    folder = train_large(work.scale.base, work.out / BASE, news)
    measured = json.loads((folder / "base.json").read_text(encoding="utf-8"))["measured"]
    return f"{folder}: accuracy {measured['accuracy']:.3f}, clarity {measured['clarity']:.3f}"


def train_runs(work: Work) -> str:
    """Stage 2: RL with audits, one scalarizer after the other.

    Raises:
        WaitsError: if the base model is not finished.
    """
    base = work.out / BASE / "model"
    if not base.exists():
        raise WaitsError(f"the runs start from {base}, which stage 'base' has not finished")
    for method in METHODS:
        steps = Steps(f"run {method}", work.budget)

        def news(done: int, total: int, record: Mapping[str, Any], steps: Steps = steps) -> None:
            steps(done, total, training_news(record))

        train(work.scale.run_config(method, str(base), str(_run(work, method))), news)
    return f"{', '.join(METHODS)} in {work.out / RUNS}"


def judge(work: Work) -> str:
    """Stage 3: the verdict over all runs that have audits so far.

    Raises:
        WaitsError: if there is none.
    """
    audited = [_run(work, m) for m in METHODS if _has_audits(_run(work, m))]
    if not audited:
        raise WaitsError("the verdict needs a run with an audit, which stage 'runs' makes")
    found = run_verdict(audited).to_dict()
    records.write_text(work.out / VERDICT, records.to_json(found, indent=1) + "\n")
    names = ", ".join(path.name for path in audited)
    return f"{work.out / VERDICT}: {len(found['audits'])} audited changes of {names}"


def time_all(work: Work) -> str:
    """Stage 4: speed of sampling, log-probs and update; each is written as soon as it is known."""
    steps, file = Steps("throughput", work.budget), work.out / THROUGHPUT
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    missing = tuple(name for name in work.scale.passes if name not in known)
    if missing:
        for timing in time_passes(work.scale.shape, work.scale.timing_config(), missing):
            known[timing.name] = timing._asdict()
            records.write_text(file, records.to_json(known, indent=1) + "\n")
            steps(len(known), len(work.scale.passes), _words(timing))
    return f"{file}: {'; '.join(_words(Timing(**t)) for t in known.values())}"


def train_real(work: Work) -> str:
    """Stage 5: the runs of `make real`, longer and with bigger batches, and what they changed.

    Raises:
        WaitsError: if the model cannot be had here.
    """
    from covlaw.ladder.real.record import write_record
    from covlaw.ladder.real.settings import jobs_of

    out = work.out / REAL
    base = work.out / BASE / "model"
    if not work.scale.model and not base.exists():
        raise WaitsError(f"the runs start from {base}, which stage 'base' has not finished")
    model = work.scale.model or str(base)
    try:
        resolve_model(model)
    except CovlawError as error:
        raise WaitsError(f"the real model is not here: {error}") from error
    jobs = jobs_of(REAL_METHODS, 1)
    for job in jobs:
        steps = Steps(f"real {job.name}", work.budget)

        def news(done: int, total: int, record: Mapping[str, Any], steps: Steps = steps) -> None:
            steps(done, total, training_news(record))

        train(job.config(out, work.scale.real_settings(model)), news)
    write_record(out, jobs, steps.say, sizes=work.scale.judged)
    return f"{', '.join(job.name for job in jobs)} in {out}"


STAGES: Mapping[str, Callable[[Work], str]] = {
    "base": train_base,
    "runs": train_runs,
    "verdict": judge,
    "throughput": time_all,
    "real": train_real,
}
"""In the order of their work; `throughput` and `real` need none of the others."""


def _words(timing: Timing) -> str:
    used = "" if timing.utilisation is None else f", {timing.utilisation:.1%} of the peak"
    return f"{timing.name} {timing.tokens_per_second:,.0f} tokens/s{used}"


def _run(work: Work, method: str) -> Path:
    return work.out / RUNS / method


def _has_audits(run: Path) -> bool:
    return any(line["audits"] for line in records.read_lines(run / records.STEPS))
