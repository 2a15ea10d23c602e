"""What a ladder consists of: its settings, its jobs, and what a quick one leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.worlds.rungs import ALL_RUNGS, RUNG_NAMES
from covlaw.toys.measurements import MEASUREMENTS

SCALARIZERS = {"linear": 60.0, "covariance_mgda": 60.0, "ctwa-fast": 90.0}
"""Algorithms of the LLM rung, and the rough cost of a run."""
GUARDED = "linear"
"""Run once more, under the guard."""
GUARDED_TRAINING = {"guard": "on", "audits": 0}
"""Its settings beside those of its twin: an audit judges the step that the law knows."""
SEEDS, QUICK_SEEDS = 3, 1
PRETRAINED = "smollm2"
"""Model of the rung `pretrained`."""
QUICK_TRAINING = {"steps": 8, "audits": 2, "audit_prompts": 8, "audit_completions": 8}
"""Training settings of a quick ladder, instead of the preset's."""
QUICK_INSTANCES = {"theory": 40, "bandit": 20, "tabular": 8, "transformer": 3}
"""Instances a statement in a quick ladder."""

Kind = Literal["check", "measure", "base", "train"]


@dataclass(frozen=True)
class Settings:
    """What decides a ladder's verdicts; recorded in its config.toml.

    Args:
        rungs: Which rungs to climb, in order.
        seed: Of every instance and of the LLM runs (seed, seed + 1, …).
        quick: A minute instead of some; leaves out what `omitted` says.
        base: Folder or hub id of the LLM rung's base model; "base": the cached small one.
        pretrained: Folder, hub id or "smollm2": the model of the rung `pretrained`, if climbed.
    """

    rungs: tuple[str, ...] = RUNG_NAMES
    seed: int = 0
    quick: bool = False
    base: str = "base"
    pretrained: str = PRETRAINED

    def __post_init__(self) -> None:
        if not self.rungs:
            raise CovlawError(f"no rungs: choose from {', '.join(ALL_RUNGS)}")
        for rung in self.rungs:
            if rung not in ALL_RUNGS:
                raise unknown("rung", rung, ALL_RUNGS)
        if self.seed < 0:
            raise CovlawError(f"seed is {self.seed}: use a whole number ≥ 0")
        needing = [r for r in ("transformer", "llm", "pretrained") if r in self.rungs]
        if needing and find_spec("transformers") is None:
            raise CovlawError(f"rung {needing[0]!r} needs transformers: pip install 'covlaw[llm]'")

    def to_dict(self) -> dict[str, Any]:
        """TOML-able record."""
        own = {"pretrained": self.pretrained} if "pretrained" in self.rungs else {}
        return {
            "kind": "ladder",
            "rungs": list(self.rungs),
            "seed": self.seed,
            "quick": self.quick,
            "base": self.base,
            **own,
        }

    @property
    def omitted(self) -> list[str]:
        """What this ladder leaves out of the whole one, a phrase each."""
        phrases = [f"rung {rung}" for rung in RUNG_NAMES if rung not in self.rungs]
        if self.quick:
            phrases += [
                f"most instances (kept: {_kept(self.rungs)})",
                "larger worlds in what is measured",
            ]
            if "llm" in self.rungs:
                phrases.append(
                    f"LLM: {QUICK_SEEDS} seed of {SEEDS}, {QUICK_TRAINING['steps']} steps a run, "
                    "small audits: too short to see who is traded away"
                )
        return phrases


class Job(NamedTuple):
    """One unit of work, done in a process of its own."""

    kind: Kind
    name: str
    """Unique; a finished check is found again by it."""
    arguments: tuple[Any, ...]
    cost: float
    """Rough seconds on one core: only for the order of work and the ETA."""


def exact_jobs(settings: Settings) -> list[Job]:
    """Checks and measurements of the exact rungs, long ones first."""
    jobs = [
        Job("check", f"{id} {rung}", (id, rung, settings.seed, _instances(settings, rung)), cost)
        for rung, cost in _COSTS.items()
        if rung in settings.rungs
        for id in STATEMENTS
    ]
    jobs += [
        Job("measure", name, (name, settings.seed, settings.quick), measurement.cost)
        for name, measurement in MEASUREMENTS.items()
        if set(measurement.rungs) <= set(settings.rungs)
    ]
    return sorted(jobs, key=lambda job: -job.cost)


def training_jobs(settings: Settings, out: str) -> list[Job]:
    """The LLM runs, every scalarizer with every seed, long ones first; then one under the guard."""
    if "llm" not in settings.rungs:
        return []
    count = QUICK_SEEDS if settings.quick else SEEDS
    seeds = range(settings.seed, settings.seed + count)
    jobs = [
        _training(settings, out, scalarizer, seed)
        for scalarizer in reversed(SCALARIZERS)
        for seed in seeds
    ]
    return [*jobs, _training(settings, out, GUARDED, settings.seed, guarded=True)]


def _training(
    settings: Settings, out: str, scalarizer: str, seed: int, *, guarded: bool = False
) -> Job:
    name = f"{scalarizer}{'-guarded' if guarded else ''}-seed{seed}"
    changes: dict[str, Any] = {"scalarizer": scalarizer, "model": settings.base, "seed": seed}
    changes |= QUICK_TRAINING if settings.quick else {}
    changes |= GUARDED_TRAINING if guarded else {}
    cost = SCALARIZERS[scalarizer] * (0.25 if settings.quick else 1)
    return Job("train", name, ("cpu-demo", changes | {"out": f"{out}/llm/{name}"}), cost)


def order_of(verdict: dict[str, Any]) -> tuple[int, int]:
    """Sorting key of a verdict: statement, then rung."""
    ids: Sequence[str] = tuple(STATEMENTS)
    return ids.index(verdict["id"]), ALL_RUNGS.index(verdict["rung"])


_COSTS = {"theory": 4.0, "bandit": 2.0, "tabular": 2.0, "transformer": 5.0}


def _instances(settings: Settings, rung: str) -> int | None:
    return QUICK_INSTANCES[rung] if settings.quick else None


def _kept(rungs: Sequence[str]) -> str:
    return ", ".join(f"{QUICK_INSTANCES[r]} {r}" for r in rungs if r in QUICK_INSTANCES)
