"""Recorded RL runs in pairs, unguarded and guarded, a line a run (`tools/guard/runs.py`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PAIRS = "guarded_runs.jsonl"
Row = Mapping[str, Any]
Pair = tuple[Row, Row]
"""(unguarded, guarded)."""


def pairs_of(rows: Sequence[Row], guard: str = "guard") -> list[Pair]:
    """Runs of the same base, algorithm and seed, those of which both are there."""
    place = {_same(row): row for row in rows if row["guard"] == "none"}
    kept = [row for row in rows if row["guard"] == guard]
    return [(place[_same(row)], row) for row in kept if _same(row) in place]


def named(bare: Row, kept: Row) -> bool:
    """Whether the largest mean share of μ is on an objective that the unguarded run sacrificed."""
    return bool(bare["sacrificed"][int(np.mean(kept["mu_share"], 0).argmax())])


def _same(row: Row) -> tuple[Any, ...]:
    return row["base"], row["algorithm"], row["seed"]
