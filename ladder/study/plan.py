"""The runs of a study, and the jobs that they are done in."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from covlaw.ladder.study.bases import BASES
from covlaw.ladder.study.settings import LLM, QUICK_CELLS, QUICK_SEEDS, StudySettings
from covlaw.toys.study.worlds import find_world

LLM_SEEDS = 2
RUNS_A_JOB = 480
"""Some ten seconds: the more runs side by side, the less each costs."""


class StudyRun(NamedTuple):
    """One run of one algorithm in one drawn world."""

    world: str
    cell: int
    seed: int
    algorithm: str
    signal: str
    clip: str
    optimiser: str = ""
    """Of an exact world, as `find_optimiser` reads it."""
    guard: str = "none"
    samples: int = 0
    """Completions of each prompt that the guard sees; 0: all."""

    @property
    def name(self) -> str:
        """Unique in a study."""
        return "/".join(map(str, self))


class StudyJob(NamedTuple):
    """Runs that are done together, in a process of its own."""

    name: str
    world: str
    cell: int
    optimiser: str
    runs: tuple[StudyRun, ...]
    quick: bool


def cells_of(world: str) -> Sequence[Any]:
    """The settings that a world sweeps: of the LLM its base models."""
    if world == LLM:
        return [{"base": name} for name in BASES]
    return find_world(world).cells


def study_jobs(settings: StudySettings) -> list[StudyJob]:
    """All jobs; the order depends on the settings alone."""
    return [job for world in settings.worlds for job in _jobs_of(settings, world)]


def all_runs(settings: StudySettings) -> list[StudyRun]:
    """All runs, in the order of the table."""
    return [run for job in study_jobs(settings) for run in job.runs]


def _jobs_of(settings: StudySettings, world: str) -> Iterator[StudyJob]:
    for cell in _kept(len(cells_of(world)), QUICK_CELLS if settings.quick else settings.cells):
        if world == LLM:
            for run in (run for group in _draws(settings, world, cell, "") for run in group):
                yield StudyJob(run.name, world, cell, "", (run,), settings.quick)
            continue
        for optimiser in settings.optimisers_of(world):
            drawn = list(_draws(settings, world, cell, optimiser))
            together = max(1, RUNS_A_JOB // len(drawn[0]))
            for k in range(0, len(drawn), together):
                runs = tuple(run for group in drawn[k : k + together] for run in group)
                name = f"{world}/{cell}/{optimiser}/{k}"
                yield StudyJob(name, world, cell, optimiser, runs, settings.quick)


def _kept(count: int, wanted: int) -> list[int]:
    """So many of a world's cells, evenly spread from the first to the last; 0: all."""
    if not 0 < wanted < count:
        return list(range(count))
    return sorted({round(k * (count - 1) / max(wanted - 1, 1)) for k in range(wanted)})


def _draws(
    settings: StudySettings, world: str, cell: int, optimiser: str
) -> Iterator[list[StudyRun]]:
    """For each seed, all its runs: every algorithm and guard under the same treatments.

    Not every seed sees every signal and clip: they take turns, so that the same time goes to more
    worlds. With `full` every seed sees them all.
    """
    treatments, count = settings.treatments, _seeds(settings, world)
    for k in range(count):
        turns = cell * count + k
        # a round of turns starts one further each time, or cells would keep meeting the same ones
        turn = treatments[(turns + turns // len(treatments)) % len(treatments)]
        yield [
            StudyRun(world, cell, settings.seed + k, algorithm, signal, clip, optimiser, *guard)
            for signal, clip in (treatments if settings.full else [turn])
            for algorithm in settings.scalarizers
            for guard in settings.guards_of(world, optimiser, algorithm)
        ]


def _seeds(settings: StudySettings, world: str) -> int:
    default = LLM_SEEDS if world == LLM else find_world(world).seeds
    quick = 1 if world == LLM else QUICK_SEEDS
    return settings.seeds or (quick if settings.quick else default)
