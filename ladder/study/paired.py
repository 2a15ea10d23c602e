"""Paired comparisons: two ways to train in the same drawn worlds, differences with intervals."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from covlaw.ladder.study.budgets import END, PLACES
from covlaw.ladder.study.measures import MEASURES, at, over_worlds, setting, went_through
from covlaw.ladder.study.table import Row

COMPARED = ("sacrifices", "hypervolume", "room")
BASELINE = "linear"
Key = Callable[[Row], Any]


def against_linear(rows: Sequence[Row], seed: int) -> Iterator[dict[str, Any]]:
    """Each unguarded algorithm less linear weights, in the same world under the same treatment."""
    plain = [row for row in rows if row["guard"] == "none"]
    for name in dict.fromkeys(row["algorithm"] for row in plain):
        if name != BASELINE:
            own = [r for r in plain if r["algorithm"] == name]
            base = [r for r in plain if r["algorithm"] == BASELINE]
            for where, two in _by_setting(own, base, setting):
                yield {"algorithm": name, "less": BASELINE, "world": where, **gaps(*two, seed)}


def between_optimisers(rows: Sequence[Row], seed: int) -> Iterator[dict[str, Any]]:
    """Each optimiser less the first of its world, an algorithm at a time; no guard."""
    plain = [row for row in rows if row["guard"] == "none" and row["optimiser"]]
    for world in dict.fromkeys(row["world"] for row in plain):
        here = [row for row in plain if row["world"] == world]
        first, *others = dict.fromkeys(row["optimiser"] for row in here)
        for name in others:
            own, base = ([r for r in here if r["optimiser"] == o] for o in (name, first))
            for algorithm, two in _by_setting(own, base, lambda row: row["algorithm"]):
                said = {"world": world, "optimiser": name, "less": first, "algorithm": algorithm}
                yield said | gaps(*two, seed)


def guards(rows: Sequence[Row], seed: int) -> Iterator[dict[str, Any]]:
    """Each guard on each algorithm in each setting, and less none; nothing without guards."""
    if all(row["guard"] == "none" for row in rows):
        return
    for where, algorithm in dict.fromkeys((setting(row), row["algorithm"]) for row in rows):
        here = [r for r in rows if setting(r) == where and r["algorithm"] == algorithm]
        base = [r for r in here if r["guard"] == "none"]
        for guard, samples in dict.fromkeys((r["guard"], r["samples"]) for r in here):
            own = [r for r in here if (r["guard"], r["samples"]) == (guard, samples)]
            yield {
                "world": where,
                "algorithm": algorithm,
                "guard": guard,
                "samples": samples,
                "at": places(own, seed),
                "less none": {} if guard == "none" else gaps(own, base, seed)["at"],
            }


def places(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """What some runs sacrifice and reach at each budget and at the end."""
    sound = went_through(rows)
    return {
        place: {name: over(at(sound, place), name, seed) for name in COMPARED} for place in PLACES
    }


def over(rows: Sequence[Row], name: str, seed: int) -> dict[str, Any]:
    """Mean of a measure over worlds, with its interval."""
    values = np.array([MEASURES[name](row) for row in rows], dtype=np.float64)
    return over_worlds(values, rows, seed)


def gaps(own: Sequence[Row], base: Sequence[Row], seed: int) -> dict[str, Any]:
    """What runs have more than others of the same worlds, at each budget and at the end."""
    found = {}
    for place in PLACES:
        pairs = twins(own, base, place)
        found[place] = {name: _gap(pairs, name, seed) for name in COMPARED}
    return {"at": found}


def twins(own: Sequence[Row], base: Sequence[Row], place: str = END) -> list[tuple[Row, Row]]:
    """Runs with those of the same world under the same treatment, where both got to a place."""
    found = {_world(row): row for row in at(went_through(base), place)}
    reached = at(went_through(own), place)
    return [(row, found[_world(row)]) for row in reached if _world(row) in found]


def _gap(pairs: Sequence[tuple[Row, Row]], name: str, seed: int) -> dict[str, Any]:
    measure = MEASURES[name]
    gaps = np.array([measure(row) - measure(twin) for row, twin in pairs], dtype=np.float64)
    return over_worlds(gaps, [row for row, _ in pairs], seed)


def _world(row: Row) -> tuple[Any, ...]:
    """What the two of a pair have in common, beside what is compared."""
    return tuple(row[name] for name in ("world", "cell", "seed", "signal", "clip"))


def _by_setting(
    own: Sequence[Row], base: Sequence[Row], key: Key
) -> Iterator[tuple[Any, tuple[list[Row], list[Row]]]]:
    for where in dict.fromkeys(key(row) for row in own):
        two = [r for r in own if key(r) == where], [r for r in base if key(r) == where]
        if all(two):
            yield where, two
