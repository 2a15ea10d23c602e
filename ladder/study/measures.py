"""What a study averages over runs, and what each reference defect costs, with intervals."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from covlaw.ladder.study.budgets import END
from covlaw.ladder.study.settings import LLM
from covlaw.ladder.study.table import Row, place
from covlaw.theory.estimators.bootstrap import Array, bootstrap_mean, cluster_means
from covlaw.toys.study.algorithms import REFERENCE

NONE = float("nan")
"""Of a run whose frontier is unknown; left out of the mean."""
MEASURES: dict[str, Callable[[Row], float]] = {
    "sacrifices": lambda row: float(any(row["sacrificed"])),
    "worst_regression": lambda row: max(row["regression"]),
    "hypervolume": lambda row: row["hypervolume"],
    "hypervolume_start": lambda row: row["hypervolume_start"],
    "hypervolume_lost": lambda row: row["hypervolume_visited"] - row["hypervolume"],
    "room": lambda row: NONE if row["room"] is None else row["room"],
    "dominated_earlier": lambda row: float(row["dominated_earlier"]),
    "dominated_by_another": lambda row: float(bool(row["dominated_by"])),
}
"""What is averaged over runs, each with a bootstrap interval."""
PRICED = ("sacrifices", "worst_regression", "hypervolume")


Sorted = Mapping[tuple[str, str], Sequence[Row]]
"""(world and optimiser, algorithm) → rows."""


def sorted_out(rows: Iterable[Row]) -> Sorted:
    """The unguarded rows of each algorithm in each world, under each optimiser.

    Worlds and optimisers are never averaged over: which ones there are is our choice.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["guard"] == "none":
            found.setdefault((setting(row), row["algorithm"]), []).append(row)
    return found


def setting(row: Row) -> str:
    """World and optimiser, a column of the tables."""
    return f"{row['world']} {row['optimiser']}".strip()


def went_through(rows: Iterable[Row]) -> list[Row]:
    """Those that did not stop."""
    return [row for row in rows if row["error"] is None]


def at(rows: Iterable[Row], place: str) -> list[Row]:
    """Those that reached a budget (`budgets.PLACES`), with their measures read there."""
    if place == END:
        return list(rows)
    names = ("end", "sacrificed", "regression", "hypervolume", "room")
    return [
        row | {name: row[f"{name}_{place}"] for name in names}
        for row in rows
        if row[f"end_{place}"] is not None
    ]


def interval(rows: Sequence[Row], measure: Callable[[Row], float], seed: int) -> dict[str, Any]:
    """Mean of a measure with its bootstrap interval over drawn worlds."""
    values = np.array([measure(row) for row in rows], dtype=np.float64)
    return over_worlds(values, rows, seed)


def price(rows: Sorted, algorithm: str, world: str, seed: int) -> dict[str, Any] | None:
    """What the reference's defects cost: reference minus published, in the same world and arm."""
    if not algorithm.endswith(REFERENCE):
        return None
    published = algorithm.removesuffix(REFERENCE)
    own, twin_rows = (went_through(rows.get((world, a), ())) for a in (algorithm, published))
    twins = {place(row): row for row in twin_rows}
    pairs = [(row, twins[place(row)]) for row in own if place(row) in twins]
    if not pairs:
        return None
    found: dict[str, Any] = {"scalarizer": published, "world": world, "pairs": len(pairs)}
    for name in PRICED:
        measure = MEASURES[name]
        gaps = np.array([measure(row) - measure(twin) for row, twin in pairs], dtype=np.float64)
        found[name] = over_worlds(gaps, [row for row, _ in pairs], seed)
    return found


def over_worlds(values: Array, rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Mean and interval; worlds are resampled whole, for runs in one are not independent."""
    means = cluster_means(values, [_cluster(row) for row in rows])
    return bootstrap_mean(means, seed)._asdict()


def _cluster(row: Row) -> str:
    """The drawn world that a run was made in; an LLM's base: its seeds share all but sampling."""
    own = f"{row['world']}/{row['cell']}"
    return own if row["world"] == LLM else f"{own}/{row['seed']}"
