"""What helps a guard against sampling noise: every candidate in the same drawn worlds.

    python tools/guard/noise.py guard-restoring-1 guard-pool-restoring-1 ... --out FILE
    [--world transformer --optimiser adamw-.003 --algorithm linear ... --seed 8 --seeds 12]

Writes for each algorithm a record a guard and number of completions, and one of no guard: how many
of the runs sacrifice an objective, and their hypervolume, at the end; both less those of the
unguarded runs of the same worlds; and in how many pairs only one of the two sacrifices. One
process, one thread; what was stopped continues with the rows in `--rows`. 0 completions: exact
gradients. The worlds are those of `covlaw study --guard`; seeds from 4 on are worlds that its
record has not seen.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch

from covlaw.ladder.study.budgets import END
from covlaw.ladder.study.guard_plan import SAMPLES
from covlaw.ladder.study.paired import gaps, over, twins
from covlaw.ladder.study.plan import StudyJob, StudyRun, all_runs
from covlaw.ladder.study.settings import StudySettings
from covlaw.ladder.study.table import Row
from covlaw.ladder.study.work import work
from covlaw.records.environment import describe
from covlaw.records.runs import ENVIRONMENT, read_lines, to_json, write_text
from covlaw.toys.study.guards import find_guard

MEASURED = ("sacrifices", "hypervolume")


def rows_of(
    plain: list[StudyRun], ways: list[tuple[str, int]], known: Path, steps: int = 0
) -> list[Row]:
    """Train unguarded runs' worlds in every way, a guard and how many completions it sees."""
    rows = {row["run"]: row for row in read_lines(known)} if known.is_file() else {}
    wanted = [run._replace(guard=g, samples=k) for g, k in ways for run in plain]
    for cell in sorted({run.cell for run in plain}):
        runs = tuple(run for run in wanted if run.cell == cell and run.name not in rows)
        if runs:
            job = StudyJob("", runs[0].world, cell, runs[0].optimiser, runs, quick=False)
            new = work(job, "", frontier=False, steps=steps)
            with known.open("a", encoding="utf-8") as file:
                file.writelines(to_json(row) + "\n" for row in new)
            rows |= {row["run"]: row for row in new}
    return [rows[run.name] for run in wanted]


def records(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One a guard and number of completions of each prompt that it sees."""
    settings = StudySettings(
        (given.world,),
        tuple(given.algorithm),
        seeds=given.seeds,
        seed=given.seed,
        guard=True,
        cells=given.cells,
    )
    every = [run for run in all_runs(settings) if run.optimiser == given.optimiser]
    plain = [run for run in every if run.guard == "none"]
    ways = [
        (guard, samples)
        for guard in dict.fromkeys(("none", *given.guards))
        for samples in (given.samples if find_guard(guard).place == "step" else (0,))
        if samples or not find_guard(guard).sampled
    ]
    rows = rows_of(plain, ways, given.rows)
    for algorithm, (guard, samples) in product(given.algorithm, ways):
        mine = [row for row in rows if row["algorithm"] == algorithm]
        bare = [row for row in mine if row["guard"] == "none"]
        own = [row for row in mine if (row["guard"], row["samples"]) == (guard, samples)]
        yield {
            **{"world": given.world, "optimiser": given.optimiser, "algorithm": algorithm},
            **{"seed": given.seed, "guard": guard, "samples": samples, "runs": len(own)},
            **{name: over(own, name, given.seed) for name in MEASURED},
            "less none": against(own, bare, given.seed),
        }


def against(rows: list[Row], bare: list[Row], seed: int) -> dict[str, Any]:
    """What guarded runs have more than their unguarded twins, and pairs in which one sacrifices."""
    apart = gaps(rows, bare, seed)["at"][END]
    lost = [(any(own["sacrificed"]), any(base["sacrificed"])) for own, base in twins(rows, bare)]
    return {
        **{name: apart[name] for name in MEASURED},
        "only guarded": lost.count((True, False)),
        "only unguarded": lost.count((False, True)),
    }


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guards", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=Path, default=Path("runs/guard_noise_rows.jsonl"))
    for name, value in (
        *(("world", "transformer"), ("optimiser", "adamw-.003")),
        *(("seed", 8), ("seeds", 12), ("cells", 0)),
    ):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--algorithm", nargs="+", default=["linear"])
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for path in (given.out, given.rows):
        path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record) + "\n" for record in records(given)]
    given.out.write_text("".join(lines), encoding="utf-8")
    write_text(given.out.parent / ENVIRONMENT, to_json(describe(), indent=1) + "\n")


if __name__ == "__main__":
    main()
