"""What noise in the Gramian does to the methods that ask for it, and which estimate does better.

    python tools/guard/gramians.py --out figures/data/gramian-noise/gramian_noise.jsonl

Transformer worlds of seeds that chose nothing. The Gramian is exact, or that of K completions of
each prompt: `gramian-plain`, of all of them; `gramian-crossed`, of two halves, shrunk by its error
(what a run's `gramian = "crossed"` is); `gramian-unshrunk`, only made positive semidefinite. All
else is exact. A record a method, Gramian and K: share of the runs that sacrifice an objective,
hypervolume, how far the weights are from those by the exact Gramian (half the sum of absolute
differences, in shares) in the first batch, where the policy is the same, and in the last; the
first two also less those of the exact twins, and less those of the plain Gramian's. What was
stopped continues with the rows in `--rows`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script

from guard.noise import MEASURED, rows_of

from covlaw.ladder.study.budgets import END
from covlaw.ladder.study.guard_plan import SAMPLES
from covlaw.ladder.study.measures import over_worlds, went_through
from covlaw.ladder.study.paired import gaps, over, twins
from covlaw.ladder.study.plan import StudyRun, all_runs
from covlaw.ladder.study.settings import StudySettings
from covlaw.ladder.study.table import Row
from covlaw.records.environment import describe
from covlaw.records.runs import ENVIRONMENT, to_json, write_text

METHODS = ("mgda", "upgrad", "nash_mtl", "gapo", "gradnorm")
PLAIN, GRAMIANS = "gramian-plain", ("gramian-plain", "gramian-crossed", "gramian-unshrunk")
WAYS = [("none", 0), *((gramian, k) for gramian in GRAMIANS for k in SAMPLES)]
OPTIMISER = "adamw-.003"


def records(plain: list[StudyRun], folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """One a method, Gramian and number of completions."""
    first = rows_of(plain, WAYS, folder / "first.jsonl", steps=1)
    whole = rows_of(plain, WAYS, folder / "whole.jsonl")
    for method in dict.fromkeys(run.algorithm for run in plain):
        for way in WAYS:
            own, exact, other = (chosen(whole, method, *w) for w in (way, WAYS[0], (PLAIN, way[1])))
            begun = [chosen(first, method, *w) for w in (way, WAYS[0])]
            yield {
                **{"optimiser": OPTIMISER, "algorithm": method, "seed": seed},
                **{"guard": way[0], "samples": way[1], "runs": len(own)},
                "stopped": len(own) - len(went_through(own)),
                **{name: over(went_through(own), name, seed) for name in MEASURED},
                "weights first": apart(*begun, seed),
                "weights last": apart(own, exact, seed),
                "less exact": less(own, exact, seed),
                "less plain": less(own, other, seed) if other else None,
            }


def chosen(rows: Sequence[Row], method: str, guard: str, samples: int) -> list[Row]:
    """The rows of one method, Gramian and number of completions."""
    wanted = (method, guard, samples)
    return [row for row in rows if (row["algorithm"], row["guard"], row["samples"]) == wanted]


def less(own: Sequence[Row], base: Sequence[Row], seed: int) -> dict[str, Any]:
    """What runs have more than their twins at the end."""
    found = gaps(own, base, seed)["at"][END]
    return {name: found[name] for name in MEASURED}


def apart(own: Sequence[Row], base: Sequence[Row], seed: int) -> dict[str, Any]:
    """How far the weights are from the twins', each scaled to sum to 1: mean with its interval."""
    pairs = twins(own, base)
    two = np.array([[row["weights"] for row in pair] for pair in pairs], dtype=np.float64)
    shares = two / two.sum(2, keepdims=True)
    return over_worlds(np.abs(shares[:, 0] - shares[:, 1]).sum(1) / 2, [r for r, _ in pairs], seed)


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=Path, default=Path("runs/gramian-noise"))
    for name, value in (("seed", 20), ("seeds", 12), ("cells", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = StudySettings(
        ("transformer",), METHODS, seeds=given.seeds, seed=given.seed, cells=given.cells
    )
    plain = [run for run in all_runs(settings) if run.optimiser == OPTIMISER]
    for path in (given.out.parent, given.rows):
        path.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record) + "\n" for record in records(plain, given.rows, given.seed)]
    given.out.write_text("".join(lines), encoding="utf-8")
    write_text(given.out.parent / ENVIRONMENT, to_json(describe(), indent=1) + "\n")


if __name__ == "__main__":
    main()
