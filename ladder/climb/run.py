"""Climb the ladder: jobs to processes, verdicts to the folder, and where it stands."""

import os
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from covlaw.ladder.climb.folder import RUNS, LadderFolder
from covlaw.ladder.climb.plan import Job, Settings, exact_jobs, training_jobs
from covlaw.ladder.climb.pretrained import base_jobs, pretrained_jobs
from covlaw.ladder.climb.state import ClimbState
from covlaw.ladder.workers import check_recorded, start_worker, work
from covlaw.theory._numerics.errors import CovlawError

POLL = 0.5
"""Seconds between looks at the running jobs."""


def climb(
    folder: LadderFolder, settings: Settings, jobs: int, show: Callable[[ClimbState], None]
) -> ClimbState:
    """Do everything that is left of a ladder, `jobs` processes at a time.

    Finished checks are found in the folder and not repeated; LLM runs continue where they stood.
    A job that crashes is recorded and counted; the others go on, in new processes where one died.

    Raises:
        CovlawError: if another process is at work in the folder.
    """
    with folder.held():
        return _climb(folder, settings, jobs, show)


def _climb(
    folder: LadderFolder, settings: Settings, jobs: int, show: Callable[[ClimbState], None]
) -> ClimbState:
    done = folder.finished()
    state = ClimbState(settings, folder.path, dict(done))
    waiting = [j for j in exact_jobs(settings) if j.name not in done]
    waiting = [j for j in waiting if j.kind != "measure" or not folder.has_records(j.name)]
    if "llm" in settings.rungs:
        # the base model comes first: the runs wait for it
        waiting.insert(0, Job("base", "base model", (settings.base,), 100.0))
    waiting[:0] = base_jobs(settings)
    os.environ["OMP_NUM_THREADS"] = "1"  # before the workers import torch
    context = get_context("spawn")
    out = str(folder.path)
    state.plan(waiting, training_jobs(settings, out), pretrained_jobs(settings, out))
    while waiting:
        with ProcessPoolExecutor(jobs, context, initializer=start_worker) as pool:
            try:
                _drive(pool, waiting, jobs, folder, state, show)
            except BaseException:
                stop(pool)
                raise
    for rung in RUNS:
        _check_runs(rung, folder, settings, state)
    show(state)
    return state


def stop(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes at once, whatever they are doing."""
    processes = dict(getattr(pool, "_processes", None) or {})  # shutdown forgets them
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.terminate()


def _drive(
    pool: ProcessPoolExecutor,
    waiting: list[Job],
    jobs: int,
    folder: LadderFolder,
    state: ClimbState,
    show: Callable[[ClimbState], None],
) -> None:
    """Work until nothing is left, or until a process has died: then the pool takes no more."""
    running: dict[Future[Any], Job] = {}
    usable = True
    while (waiting and usable) or running:
        while waiting and usable and len(running) < jobs:
            try:
                running[pool.submit(work, waiting[0])] = waiting[0]
            except BrokenProcessPool:
                usable = False
            else:
                state.started(waiting.pop(0))
        finished, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in finished:
            job = running.pop(future)
            waiting[:0] = _finish(job, future, folder, state)
            state.finished(job)
        show(state)


def _finish(job: Job, future: Future[Any], folder: LadderFolder, state: ClimbState) -> list[Job]:
    """Record a job's result; return the jobs that it makes possible."""
    error = future.exception()
    if isinstance(error, CovlawError) and job.kind in ("base", "train"):
        raise error  # a mistake in the settings, not a failed check
    if error is not None:
        state.failures[job.name] = _crash(folder, job.name, error)
        return []
    result = future.result()
    if job.kind == "check":
        folder.add(result)
        state.verdicts[job.name] = result
    elif job.kind == "measure":
        folder.write_records(job.name, result)
    elif job.kind == "base":
        makes = training_jobs if job.name == "base model" else pretrained_jobs
        return makes(state.settings, str(folder.path))
    return []


def _crash(folder: LadderFolder, name: str, error: BaseException) -> str:
    folder.fail(name, "".join(traceback.format_exception(error)))
    return f"{type(error).__name__}: {error}"


def _check_runs(rung: str, folder: LadderFolder, settings: Settings, state: ClimbState) -> None:
    runs = sorted(Path(folder.path).glob(f"{rung}/*/audits"))
    if rung not in settings.rungs or not runs:
        return
    name = f"checks on the {RUNS[rung]} runs"
    try:
        verdicts = check_recorded([audits.parent for audits in runs], settings.seed, rung)
    except Exception as error:
        state.failures[name] = _crash(folder, name, error)
        return
    state.verdicts |= {f"{verdict['id']} {rung}": verdict for verdict in verdicts}
