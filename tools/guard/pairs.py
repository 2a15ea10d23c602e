"""Carry out RL runs that the record of guarded pairs lacks, one after another.

    python tools/guard/pairs.py runs/study-guard-llm [--minutes 60] [--record FOLDER]
    python tools/guard/runs.py runs/study-guard-llm --keep

A seed at a time: every base with linear weights, then MGDA, GDPO, CTWA; with `--variants` the
guard's own variants on the first base instead. What was stopped continues, and no run begins after
so many minutes. They are runs of `covlaw study --worlds llm --guard`, by its names and with its
settings, so that its rows and these can stand in one record. With `--gramians` it is MGDA and
UPGrad on the first base, unguarded, by the plain Gramian and by that of two halves.
"""

import argparse
import time
from pathlib import Path

import torch

from covlaw.ladder.study.guard_plan import ASKING, EVERY_LLM, GRAMIAN_ON_LLM, ON_LLM
from covlaw.ladder.study.llm import llm_row
from covlaw.ladder.study.plan import StudyRun, all_runs
from covlaw.ladder.study.settings import StudySettings
from covlaw.records.environment import describe
from covlaw.records.guard_pairs import PAIRS
from covlaw.records.runs import read_lines, to_json, write_text

ALGORITHMS = ("linear", "mgda", "gdpo", "ctwa")
SEEDS = 3


def missing(known: set[str], *, variants: bool = False, gramians: bool = False) -> list[StudyRun]:
    """Runs that no row is known of, in the order of their worth."""
    algorithms = ASKING if gramians else ALGORITHMS
    settings = StudySettings(("llm",), algorithms, ("grpo",), SEEDS, guard=True)
    wanted = [run for run in all_runs(settings) if run.name not in known]
    if gramians:
        wanted = [r for r in wanted if r.cell == 0 and r.guard in ("none", *GRAMIAN_ON_LLM)]
    elif variants:
        wanted = [r for r in wanted if r.cell == 0 and r.guard in set(ON_LLM) - set(EVERY_LLM)]
    else:
        wanted = [r for r in wanted if r.guard in EVERY_LLM]
    return sorted(wanted, key=lambda r: (r.seed, algorithms.index(r.algorithm), r.cell, r.guard))


def main() -> None:
    """Run, and append a row a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--record", type=Path, default=Path("figures/data/guard-llm"))
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--gramians", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun, rows = time.monotonic(), given.study / "runs.jsonl"
    given.study.mkdir(parents=True, exist_ok=True)
    write_text(given.study / "environment.json", to_json(describe(), indent=1) + "\n")
    lines = [given.record / PAIRS, rows]
    known = {row["run"] for path in lines if path.is_file() for row in read_lines(path)}
    for run in missing(known, variants=given.variants, gramians=given.gramians):
        if time.monotonic() - begun > 60 * given.minutes:
            break
        row = llm_row(run, str(given.study), quick=False)
        with rows.open("a", encoding="utf-8") as file:
            file.write(to_json(row) + "\n")


if __name__ == "__main__":
    main()
