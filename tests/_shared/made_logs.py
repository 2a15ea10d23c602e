"""Rollout logs made up for tests: a conflict planted from one step on, in every format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

REWARDS = ("accuracy", "format", "brief")


def rollouts(
    seed: int = 0,
    steps: int = 8,
    prompts: int = 12,
    completions: int = 6,
    conflict_from: int | None = 4,
) -> list[dict[str, Any]]:
    """Rows as TRL logs them; from `conflict_from` on `brief` opposes `accuracy`."""
    rng, rows = np.random.default_rng(seed), []
    for step in range(steps):
        sign = 1.0 if conflict_from is None or step < conflict_from else -1.0
        for prompt in range(prompts):
            skill = rng.normal(size=completions)
            accuracy = (skill + rng.normal(size=completions) > 0).astype(float)
            shape = (rng.normal(size=completions) > 0).astype(float)
            brief = (sign * 2 * skill + rng.normal(size=completions) > 0).astype(float)
            score = accuracy + shape + brief * 0.25
            advantage = score - score.mean()
            for k in range(completions):
                rows.append(
                    {
                        "step": step,
                        "prompt": f"question {prompt}, asked at step {step % 3}",
                        "completion": "word " * int(rng.integers(3, 30)),
                        "accuracy": float(accuracy[k]),
                        "format": float(shape[k]),
                        "brief": float(brief[k]),
                        "advantage": float(advantage[k]),
                    }
                )
    return rows


def columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """The same as a dict of columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def as_trl(rows: Sequence[dict[str, Any]], folder: Path) -> Path:
    """A Parquet file a step, as `log_completions` writes them."""
    import pyarrow
    import pyarrow.parquet

    for step in sorted({row["step"] for row in rows}):
        part = columns([row for row in rows if row["step"] == step])
        place = folder / f"completions_{step:05d}.parquet"
        pyarrow.parquet.write_table(pyarrow.table(part), place)
    return folder


def as_verl(rows: Sequence[dict[str, Any]], folder: Path) -> Path:
    """A JSONL file a step, as `trainer.rollout_data_dir` fills."""
    for step in sorted({row["step"] for row in rows}):
        with (folder / f"{step}.jsonl").open("w", encoding="utf-8") as file:
            for row in rows:
                if row["step"] == step:
                    rewards = {name: row[name] for name in REWARDS}
                    line = {"input": row["prompt"], "output": row["completion"], "gts": "12"}
                    line |= {"score": sum(rewards.values()), "step": step, **rewards}
                    file.write(json.dumps(line) + "\n")
    return folder


def as_csv(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """One CSV file."""
    import csv

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
