"""What helps a guard against sampling noise: every candidate in the same drawn worlds.

    python tools/guard_noise.py guard-restoring-1 guard-pool-restoring-1 ... --out FILE
    [--world transformer --optimiser adamw-.003 --algorithm linear --seed 0 --seeds 4]

Appends a record a guard and number of completions: how many of the runs sacrifice an objective, and
their hypervolume, at the end. One process, one thread: some 30 seconds a guard. The worlds are
those of `covlaw study --guard`; seeds from 4 on are worlds that its record has not seen.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from covlaw.ladder.study.guard_plan import SAMPLES
from covlaw.ladder.study.paired import over
from covlaw.ladder.study.plan import StudyJob, StudyRun, all_runs
from covlaw.ladder.study.settings import StudySettings
from covlaw.ladder.study.work import work
from covlaw.toys.study.guards import find_guard

MEASURED = ("sacrifices", "hypervolume")


def rows_of(plain: list[StudyRun], guard: str, samples: int) -> list[dict[str, Any]]:
    """Train unguarded runs' worlds again, with a guard."""
    rows = []
    for cell in sorted({run.cell for run in plain}):
        runs = tuple(
            run._replace(guard=guard, samples=samples) for run in plain if run.cell == cell
        )
        rows += work(StudyJob("", runs[0].world, cell, runs[0].optimiser, runs, quick=False), "")
    return rows


def records(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One a guard and number of completions of each prompt that it sees."""
    settings = StudySettings(
        (given.world,), (given.algorithm,), seeds=given.seeds, seed=given.seed, guard=True
    )
    own = [run for run in all_runs(settings) if run.optimiser == given.optimiser]
    plain = [run for run in own if run.guard == "none"]
    for guard in given.guards:
        for samples in given.samples if find_guard(guard).place == "step" else (0,):
            rows = rows_of(plain, guard, samples)
            yield {
                **{k: getattr(given, k) for k in ("world", "optimiser", "algorithm", "seed")},
                **{"guard": guard, "samples": samples, "runs": len(rows)},
                **{name: over(rows, name, given.seed) for name in MEASURED},
            }


def main() -> None:
    """Measure, and append to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guards", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    for name, value in (
        *(("world", "transformer"), ("optimiser", "adamw-.003"), ("algorithm", "linear")),
        *(("seed", 0), ("seeds", 4)),
    ):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("a", encoding="utf-8") as file:
        for record in records(given):
            file.write(json.dumps(record) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
