"""Record a guarded study of RL runs, finished or not, small: a line a run.

    covlaw study --worlds llm --guard --scalarizers linear gdpo ctwa mgda --signals grpo --seeds 3
    python tools/guard/runs.py runs/study [--out figures/data/guard-llm] [--keep]

With `--keep` the record's lines of other runs stay, and its environment.json with them.

`guarded_runs.jsonl`: the row of the study's `runs.jsonl` where it says who was sacrificed, and of
guarded runs each step's mean rewards, weights μ, how much of the step was changed and what was
refused, and the share of the run's seconds that the guard took. With it the study's
environment.json; a line that was added later has its `revision`.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covlaw.ladder.study.guard_plan import GRAMIAN_ON_LLM
from covlaw.records.guard_pairs import PAIRS
from covlaw.records.guard_weights import weight_shares
from covlaw.records.lines import read_records
from covlaw.records.runs import read_lines

ROW = (
    *("run", "base", "seed", "algorithm", "clip", "guard", "steps", "objectives"),
    *("start", "end", "best", "regression", "sacrificed", "hypervolume", "hypervolume_start"),
)
DIGITS = 4


def record(study: Path) -> list[dict[str, Any]]:
    """A line a finished run, in order of names."""
    rows = [row for row in read_lines(study / "runs.jsonl") if row["error"] is None]
    return [
        {name: _rounded(row[name]) for name in ROW} | course(study, row)
        for row in sorted(rows, key=lambda row: str(row["run"]))
    ]


def course(study: Path, row: dict[str, Any]) -> dict[str, Any]:
    """What a guarded run's own folder says of its steps; nothing of an unguarded one."""
    folder = study / "llm" / row["run"].replace("/", "_")
    if row["guard"] in ("none", *GRAMIAN_ON_LLM):
        return {}
    steps = read_records(folder / "steps.jsonl")
    told = [step["guard"] for step in steps]
    times = read_records(folder / "timing.jsonl")
    guard = sum(time.get("guard_seconds", 0.0) for time in times)
    return {
        "reward_mean": _rounded([step["reward_mean"] for step in steps]),
        "mu_share": _rounded(weight_shares([own["weights"] for own in told]).tolist()),
        "changed": _rounded([own["changed"] for own in told]),
        "shortened": sum(0 < own["factor"] < 1 for own in told),
        "refused": sum(bool(own["refused"]) for own in told),
        "seconds_share": round(guard / sum(time["seconds"] for time in times), 3),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(own) for own in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def main() -> None:
    """Read a study, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=Path("figures/data/guard-llm"))
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    lines, path = record(given.study), given.out / PAIRS
    if given.keep:
        revision = json.loads((given.study / "environment.json").read_text())["revision"]
        lines = merged(read_records(path), [line | {"revision": revision} for line in lines])
    else:
        given.out.mkdir(parents=True, exist_ok=True)
        shutil.copy(given.study / "environment.json", given.out)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def merged(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Old lines and new ones in order of names, the new one where both have a run."""
    found = {line["run"]: line for line in (*old, *new)}
    return [found[name] for name in sorted(found)]


if __name__ == "__main__":
    main()
