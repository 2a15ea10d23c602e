"""The study's tidy table: a line a run and objective, every setting and measure a column."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from covlaw.theory.estimators.pareto import dominates

Row = dict[str, Any]
SHARED = ("world", "cell", "seed", "signal", "clip", "optimiser", "guard", "samples")
"""What runs have in common that differ in their algorithm only."""


def with_rivals(rows: Sequence[Row]) -> list[Row]:
    """Add to each run which algorithms' final policies dominate its own, in the same world.

    `dominated_by`: nowhere worse, and somewhere better by more than the margin; None for a run
    that stopped.
    """
    rivals: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["error"] is None:
            rivals[place(row)].append(row)
    return [
        row | {"dominated_by": None if row["error"] else _better(row, rivals[place(row)])}
        for row in rows
    ]


def tidy(rows: Sequence[Row]) -> Iterator[Row]:
    """A line a run and objective; a run that stopped has one line, with its error."""
    for row in rows:
        names = row.get("objectives")
        if names is None:
            yield row | {"objective": None}
            continue
        columns = {k: v for k, v in row.items() if k not in ("objectives", "dominated_by")}
        by_objective = {k for k, v in columns.items() if isinstance(v, list)}
        rivals = {"dominated_by": row["dominated_by"]}
        for j, name in enumerate(names):
            own = {k: v[j] if k in by_objective else v for k, v in columns.items()}
            yield own | rivals | {"objective": name}


def place(row: Row) -> tuple[Any, ...]:
    """What a run has in common with its rivals."""
    return tuple(row[name] for name in SHARED)


def _better(row: Row, others: Sequence[Row]) -> list[str]:
    ends = torch.tensor([other["end"] for other in others], dtype=torch.float64)
    own = torch.tensor(row["end"], dtype=torch.float64)
    margin = torch.tensor(row["margin"], dtype=torch.float64)
    beats = dominates(ends, own, margin).tolist()
    return [other["algorithm"] for other, better in zip(others, beats, strict=True) if better]
