"""Carry out a study: jobs to processes, rows to the folder, and how far it is."""

import os
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from covlaw.ladder.climb.run import stop
from covlaw.ladder.progress import Show
from covlaw.ladder.study.folder import StudyFolder
from covlaw.ladder.study.guard_plan import EVERY_LLM
from covlaw.ladder.study.plan import StudyJob, study_jobs
from covlaw.ladder.study.settings import LLM, StudySettings
from covlaw.ladder.study.work import work
from covlaw.ladder.workers import start_worker
from covlaw.theory._numerics.errors import CovlawError

Rows = dict[str, dict[str, Any]]
Submit = Callable[..., "Future[Any]"]


def carry_out(folder: StudyFolder, settings: StudySettings, jobs: int, show: Show) -> Rows:
    """Do everything that is left of a study, `jobs` processes at a time.

    Rows in the folder are kept and their runs not repeated. A job that crashes is recorded; the
    others go on, in new processes where one died.

    Returns:
        The rows by run, failed jobs left out.

    Raises:
        CovlawError: if another process is at work in the folder, or a job finds the settings at
            fault.
    """
    with folder.held():
        rows = folder.finished()
        everything = study_jobs(settings)
        waiting = [job for job in everything if any(run.name not in rows for run in job.runs)]
        waiting.sort(key=turn)
        total = sum(len(job.runs) for job in everything)
        os.environ["OMP_NUM_THREADS"] = "1"  # before the workers import torch
        show(len(rows), total, "starting")
        while waiting:
            with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=start_worker) as pool:
                try:
                    _drive(pool, waiting, jobs, folder, rows, lambda n: show(len(rows), total, n))
                except BaseException:
                    stop(pool)
                    raise
        return rows


def turn(job: StudyJob) -> tuple[bool, int]:
    """LLM runs take minutes: pairs first, a seed at a time, and a guard's variants last."""
    run = job.runs[0]
    return (run.guard not in EVERY_LLM, run.seed) if job.world == LLM else (False, 0)


def _drive(
    pool: ProcessPoolExecutor,
    waiting: list[StudyJob],
    jobs: int,
    folder: StudyFolder,
    rows: Rows,
    news: Callable[[str], None],
) -> None:
    """Work until nothing is left, or until a process has died: then the pool takes no more."""
    running: dict[Future[Any], StudyJob] = {}
    usable = True
    while (waiting and usable) or running:
        while waiting and usable and len(running) < jobs:
            try:
                running[pool.submit(work, waiting[0], str(folder.path))] = waiting[0]
            except BrokenProcessPool:
                usable = False
            else:
                waiting.pop(0)
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            _finish(running.pop(future), future, folder, rows)
        news(", ".join(job.name for job in running.values()))


def _finish(job: StudyJob, future: Future[Any], folder: StudyFolder, rows: Rows) -> None:
    error = future.exception()
    if isinstance(error, CovlawError):
        raise error  # a mistake in the settings
    if error is not None:
        folder.fail(job.name, "".join(traceback.format_exception(error)))
        return
    # a job that a kill cut short is done again as a whole: last bits depend on a run's neighbours
    new = {row["run"]: row for row in future.result() if row["run"] not in rows}
    folder.add(new.values())
    rows.update(new)
