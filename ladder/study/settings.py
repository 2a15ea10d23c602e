"""What decides a study's numbers."""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

from covlaw.ladder.study.guard_plan import GUARDED, guards_of
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.toys.study.algorithms import available, find_algorithm, unavailable
from covlaw.toys.study.arms import CLIPS
from covlaw.toys.study.signals import SIGNALS
from covlaw.toys.study.worlds import WORLDS, find_world

LLM = "llm"
WORLD_NAMES = (*WORLDS, LLM)
NEEDS_TRANSFORMERS = ("transformer", LLM)
QUICK_CELLS, QUICK_SEEDS, QUICK_STEPS = 2, 3, 6


@dataclass(frozen=True)
class StudySettings:
    """What decides a study's numbers; recorded in its config.toml.

    Args:
        worlds: Which worlds; the LLM's runs take minutes each and are done only when asked for.
        scalarizers: Names of algorithms; none: all.
        signals: Advantage normalisations; none: all.
        seeds: Worlds drawn a cell; 0: each world's default.
        seed: The first of them.
        quick: Two cells a world, few seeds, short runs.
        full: Every signal and clip on every seed, instead of one of them in turn.
        guard: Whether runs are repeated with guards and their rivals (`guard_plan`).
        cells: So many of each world's cells, evenly spread; 0: all.
    """

    worlds: tuple[str, ...] = tuple(WORLDS)
    scalarizers: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    seeds: int = 0
    seed: int = 0
    quick: bool = False
    full: bool = False
    guard: bool = False
    cells: int = 0

    def __post_init__(self) -> None:
        chosen = {
            "worlds": self.worlds,
            "scalarizers": self.scalarizers or (GUARDED if self.guard else tuple(available())),
            "signals": self.signals or tuple(SIGNALS),
        }
        for name, values in chosen.items():
            object.__setattr__(self, name, tuple(dict.fromkeys(values)))
        self._check()

    def _check(self) -> None:
        if not self.worlds:
            raise CovlawError(f"no worlds: choose from {', '.join(WORLD_NAMES)}")
        _require_known("world of the study", self.worlds, WORLD_NAMES)
        _require_known("signal", self.signals, tuple(SIGNALS))
        for name in self.scalarizers:
            find_algorithm(name).check()
        for what, value in (("seeds", self.seeds), ("seed", self.seed), ("cells", self.cells)):
            if value < 0:
                raise CovlawError(f"{what} is {value}: use a whole number ≥ 0")
        if self.quick and self.full:
            raise CovlawError("quick and full: choose one")
        needing = [world for world in NEEDS_TRANSFORMERS if world in self.worlds]
        if needing and find_spec("transformers") is None:
            raise CovlawError(f"world {needing[0]!r} needs transformers: pip install 'covlaw[llm]'")

    def to_dict(self) -> dict[str, Any]:
        """TOML-able record."""
        return {
            "kind": "study",
            "worlds": list(self.worlds),
            "scalarizers": list(self.scalarizers),
            "signals": list(self.signals),
            "seeds": self.seeds,
            "seed": self.seed,
            "quick": self.quick,
            "full": self.full,
            "guard": self.guard,
            "cells": self.cells,
        }

    def optimisers_of(self, world: str) -> tuple[str, ...]:
        """Those that a world's runs are repeated with."""
        return find_world(world).optimisers

    def guards_of(self, world: str, optimiser: str, algorithm: str) -> list[tuple[str, int]]:
        """(guard, samples) that an algorithm is run with."""
        return guards_of(world, optimiser, algorithm) if self.guard else [("none", 0)]

    @property
    def omitted(self) -> list[str]:
        """What this study leaves out of the whole one, a phrase each."""
        phrases = [f"world {world}" for world in WORLD_NAMES if world not in self.worlds]
        phrases += [f"{name} ({why})" for name, why in unavailable().items()]
        missing = [n for n in available() if n not in self.scalarizers]
        phrases += [f"algorithm {name}" for name in missing]
        phrases += [f"signal {name}" for name in SIGNALS if name not in self.signals]
        phrases += [f"{self.cells} cells a world"] if self.cells else []
        phrases += ["guards: see --guard"] if not self.guard else []
        if self.quick:
            phrases.append(f"quick: {QUICK_CELLS} cells a world, runs of {QUICK_STEPS} steps")
        return phrases

    @property
    def treatments(self) -> list[tuple[str, str]]:
        """Every (signal, clip)."""
        return list(product(self.signals, CLIPS))


def _require_known(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise unknown(what, name, known)
