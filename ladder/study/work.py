"""What a study's worker processes do: one job, to the rows of its runs."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from covlaw.ladder.study.budgets import rooms
from covlaw.ladder.study.plan import StudyJob, StudyRun
from covlaw.ladder.study.rows import Record, failed, measured, settings_of
from covlaw.ladder.study.settings import LLM, QUICK_STEPS
from covlaw.records.alarms import count_alarms
from covlaw.theory.estimators.interference import Attainable
from covlaw.toys.study.algorithms import Setting, find_algorithm
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import Course, train_ensemble
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.supply import snapshot
from covlaw.toys.study.worlds import find_optimiser, find_world


def work(
    job: StudyJob, folder: str, *, frontier: bool = True, steps: int = 0
) -> list[dict[str, Any]]:
    """Do one job.

    Args:
        job: Runs of one cell of one world.
        folder: Of the study; LLM runs have folders of their own in it.
        frontier: Whether to measure how far the runs of exact worlds are from it.
        steps: Of an exact world's runs; 0: the world's own number.

    Returns:
        A row a run, in the order of the job.
    """
    if job.world == LLM:
        from covlaw.ladder.study.llm import llm_row

        return [llm_row(run, folder, job.quick) for run in job.runs]
    world = find_world(job.world)
    steps = steps or (min(world.steps, QUICK_STEPS) if job.quick else world.steps)
    seeds = sorted({run.seed for run in job.runs})
    drawn = world.build(world.cells[job.cell], seeds)
    chosen = drawn.rows(torch.tensor([seeds.index(run.seed) for run in job.runs]))
    ensemble = replace(chosen, optimiser=find_optimiser(job.optimiser))
    course = train_ensemble(ensemble, _arms(job.runs, ensemble), steps, world.inner)
    room = rooms(ensemble, course) if frontier else [None] * len(job.runs)
    settings = [settings_of(run, world.cells[job.cell], steps) for run in job.runs]
    rows = enumerate(zip(settings, course.errors, strict=True))
    return [
        failed(own, error) if error else measured(own, _record(ensemble, course, r, room[r]))
        for r, (own, error) in rows
    ]


def _arms(runs: tuple[StudyRun, ...], ensemble: PolicyEnsemble) -> list[Arm]:
    """The runs' arms; those of one algorithm with equal options share a scalarizer."""
    starts = snapshot(ensemble, ensemble.theta).values.tolist()
    algorithms = {run.algorithm: find_algorithm(run.algorithm) for run in runs}
    made: dict[tuple[str, str], Any] = {}
    arms = []
    for run, start in zip(runs, starts, strict=True):
        algorithm, setting = algorithms[run.algorithm], Setting(ensemble.names, run.signal, start)
        same = (run.algorithm, repr(algorithm.options(setting)))
        made[same] = made.get(same) or algorithm.make(setting)
        arms.append(Arm(made[same], run.signal, run.clip, run.guard, run.samples, run.seed))
    return arms


def _record(ensemble: PolicyEnsemble, course: Course, r: int, room: Tensor | None) -> Record:
    values, alarms = course.values[:, r], course.alarms[:, r]
    floor, ceiling = ensemble.attainable
    return Record(
        ensemble.names,
        values,
        Attainable(floor[r], ceiling[r]),
        alarms,
        count_alarms(alarms, values.diff(dim=0), course.noise[r]),
        course.weights[r],
        divergence=course.divergence[:, r],
        room=room,
    )
