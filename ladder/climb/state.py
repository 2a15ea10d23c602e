"""Where a ladder stands: counts, running jobs and an honest time to the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covlaw.ladder.climb.plan import Job, Settings
from covlaw.records.runs import STEPS, TIMING, read_lines


@dataclass
class ClimbState:
    """Progress of one ladder, for the live table and the summary."""

    settings: Settings
    folder: Path
    verdicts: dict[str, dict[str, Any]]
    failures: dict[str, str] = field(default_factory=dict)
    running: dict[str, Job] = field(default_factory=dict)
    clock: Callable[[], float] = time.perf_counter
    """Seconds."""
    begun: float = field(init=False)
    _open: dict[str, float] = field(default_factory=dict)
    _spent: float = 0.0
    _costed: float = 0.0
    _starts: dict[str, float] = field(default_factory=dict)
    _done_before: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def plan(self, *groups: list[Job]) -> None:
        """Take note of all work ahead."""
        self._open = {job.name: job.cost for group in groups for job in group}

    def started(self, job: Job) -> None:
        """A job has been handed to a process."""
        self.running[job.name] = job
        self._starts[job.name] = self.clock()
        self._done_before[job.name] = self._share(job.name)

    def finished(self, job: Job) -> None:
        """A job has ended, well or not."""
        self.running.pop(job.name, None)
        self._open.pop(job.name, None)
        if job.kind != "base":  # trained or found: its time says nothing of the others'
            self._spent += self.clock() - self._starts[job.name]
            self._costed += job.cost * (1 - self._done_before[job.name])

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.begun

    def remaining(self, jobs: int) -> float | None:
        """Seconds to the end: the open jobs' rough costs, corrected by how the others went."""
        if self._costed < 20:
            return None
        left = [cost * (1 - self._share(name)) for name, cost in self._open.items()]
        return max(sum(left) / jobs, *left, 0.0) * self._spent / self._costed

    def _share(self, name: str) -> float:
        """Part of a running LLM run that is done; what a killed ladder did counts."""
        progress = self.training(name)
        return progress[0] / progress[1] if progress else 0.0

    def training(self, name: str) -> tuple[int, int, dict[str, Any]] | None:
        """(steps done, steps in all, newest record) of a running LLM run; None for other jobs."""
        job = self.running.get(name)
        if job is None or job.kind != "train":
            return None
        run = self.folder / (name if "/" in name else f"llm/{name}")
        done = sum(1 for _ in read_lines(run / TIMING))
        records = list(read_lines(run / STEPS)) if done else []
        if not records:
            return None
        from covlaw.records.runs import read_config

        return done, int(read_config(run)["steps"]), records[-1]
