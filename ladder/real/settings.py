"""What the runs on the real model are, by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from covlaw.llm.config.train_config import TrainConfig
from covlaw.records.runs import CONFIG, read_config
from covlaw.theory._numerics.errors import CovlawError, unknown

PRESET = "cpu-real"
GUARD: Mapping[str, Any] = {"guard": "on", "guard_options.rows": 4, "guard_options.check": 0}
"""As many rows choose a correction as make the update; none are drawn to judge it."""
METHODS: Mapping[str, Mapping[str, Any]] = {
    "linear": {"scalarizer": "linear"},
    "guarded": {"scalarizer": "linear", **GUARD},
    "ctwa-fast": {"scalarizer": "ctwa-fast"},
    "mgda": {"scalarizer": "mgda"},
}
SAID_ELSEWHERE = {
    "out": "--out",
    "seed": "--seeds",
    "scalarizer": "--methods",
    "guard": "--methods",
}
"""Settings that the runs do not share, and the options that say them."""


class Job(NamedTuple):
    """One run."""

    method: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.method}-seed{self.seed}"

    def config(self, out: Path, changes: Mapping[str, Any]) -> TrainConfig:
        """Its settings, in a folder of its own; `changes` count before the preset's.

        The guard's options among them are left out of a run without one.
        """
        method, folder = METHODS[self.method], {"out": str(out / self.name), "seed": self.seed}
        kept = {k: v for k, v in changes.items() if "guard" in method or not _of_guard(k)}
        return TrainConfig.preset(PRESET, **{"evaluate_every": 0, **method, **kept, **folder})


def _of_guard(setting: str) -> bool:
    return setting.partition(".")[0] == "guard_options"


def jobs_of(methods: Sequence[str], seeds: int) -> list[Job]:
    """Seed by seed, so that whatever is finished is balanced.

    Raises:
        CovlawError: for an unknown method, with near matches.
    """
    for method in methods:
        if method not in METHODS:
            raise unknown("method", method, tuple(METHODS))
    return [Job(method, seed) for seed in range(seeds) for method in methods]


def require_shared(changes: Mapping[str, Any], methods: Sequence[str]) -> None:
    """Refuse changes of what each run has of its own, and of what none has.

    Raises:
        CovlawError: naming the setting and the option that says it.
    """
    for name, option in SAID_ELSEWHERE.items():
        if name in changes:
            raise CovlawError(f"--set {name}: {option} says it here, run by run; leave it out")
    for name in filter(_of_guard, changes):
        if not any("guard" in METHODS[method] for method in methods):
            raise CovlawError(f"--set {name}: none of the methods has a guard; add guarded to them")


def require_counts(**least: tuple[int, int]) -> None:
    """Refuse numbers of the command that no run or evaluation can do with.

    Args:
        least: Of each option its value and the least one that works.

    Raises:
        CovlawError: naming the option.
    """
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise CovlawError(f"--{name} is {value}: use a whole number ≥ {smallest}")


def recorded_threads(out: Path, jobs: Sequence[Job]) -> int:
    """Threads of the runs that a folder holds already, which go on with as many; 0: there is none.

    A run's last bits depend on their number, so it is not changed halfway on another machine.
    """
    begun = [job for job in jobs if (out / job.name / CONFIG).is_file()]
    return int(read_config(out / begun[0].name)["threads"]) if begun else 0
