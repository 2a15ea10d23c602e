"""How the share of runs that sacrifice an objective depends on what a study sweeps."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from covlaw.ladder.study.measures import MEASURES, interval, went_through
from covlaw.ladder.study.table import Row

FACTORS = (
    *("signal", "clip", "conflict", "scale"),
    *("architecture", "width", "mixture", "base", "optimiser"),
)


def lines(rows: Sequence[Row], worlds: Sequence[str], seed: int) -> Iterable[dict[str, Any]]:
    """Each algorithm's share along the levels of each factor of each world, in their order.

    Algorithms are never averaged over. Over the other factors they are: each level meets the same.
    """
    for world, factor, own in _swept(rows, worlds):
        for algorithm, its in _by_level(own, "algorithm"):
            points = [
                {"level": level, **interval(at, MEASURES["sacrifices"], seed)}
                for level, at in _by_level(its, factor)
            ]
            yield {"world": world, "factor": factor, "algorithm": algorithm, "points": points}


def _swept(rows: Sequence[Row], worlds: Sequence[str]) -> Iterator[tuple[str, str, list[Row]]]:
    """Each factor of each world, with the world's rows."""
    for world in worlds:
        own = went_through(r for r in rows if r["world"] == world and r["guard"] == "none")
        yield from ((world, factor, own) for factor in FACTORS if own and factor in own[0])


def _by_level(rows: Sequence[Row], factor: str) -> Iterator[tuple[Any, list[Row]]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[factor], []).append(row)
    yield from found.items()
