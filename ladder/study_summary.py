"""What a study found: who is sacrificed by which algorithm, and what reference defects cost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from covlaw import __version__
from covlaw.ladder.study_measures import ALL, MEASURES, interval, price, rows_in
from covlaw.ladder.study_settings import StudySettings
from covlaw.ladder.study_table import Row
from covlaw.theory.interference import SACRIFICE

SCHEMA = 1
COUNTS = ("alarms", "falls", "hits")
FACTORS = (
    *("signal", "clip", "conflict", "scale"),
    *("architecture", "width", "mixture", "base"),
)


def summarise(rows: Sequence[Row], settings: StudySettings) -> dict[str, Any]:
    """Build the whole of summary.json from the rows (with their rivals)."""
    worlds = [w for w in settings.worlds if any(row["world"] == w for row in rows)]
    groups = [*worlds, *([ALL] if len(worlds) > 1 else [])]
    return {
        "schema": SCHEMA,
        "covlaw": __version__,
        **settings.to_dict(),
        "omitted": settings.omitted,
        "threshold": SACRIFICE,
        "runs": len(rows),
        "table": [
            cell
            for world in groups
            for name in settings.scalarizers
            if (cell := _cell(rows, name, world, settings.seed)) is not None
        ],
        "price": [
            cell
            for world in groups
            for name in settings.scalarizers
            if (cell := price(rows, name, world, settings.seed)) is not None
        ],
        "factors": list(_factors(rows, worlds, settings.seed)),
        "errors": _errors(rows),
    }


def _cell(rows: Sequence[Row], algorithm: str, world: str, seed: int) -> dict[str, Any] | None:
    """One algorithm in one world."""
    own = [row for row in rows_in(rows, world) if row["algorithm"] == algorithm]
    sound = [row for row in own if row["error"] is None]
    if not own:
        return None
    leads = [t for row in sound for t in row["lead_time"] if t is not None and np.isfinite(t)]
    return {
        "algorithm": algorithm,
        "world": world,
        "runs": len(own),
        "stopped": len(own) - len(sound),
        **{name: interval(sound, measure, seed) for name, measure in MEASURES.items()},
        "worst_objective": _worst(sound),
        **_alarm(sound),
        "lead_time": median(leads) if leads else None,
    }


def _worst(rows: Sequence[Row]) -> dict[str, Any] | None:
    """The objective that is sacrificed most often, and in which share of the runs that have it."""
    lost, seen = Counter[str](), Counter[str]()
    for row in rows:
        for name, gone in zip(row["objectives"], row["sacrificed"], strict=True):
            seen[name] += 1
            lost[name] += gone
    if not any(lost.values()):
        return None
    name = max(lost, key=lambda name: lost[name] / seen[name])
    return {"objective": name, "share": lost[name] / seen[name]}


def _alarm(rows: Sequence[Row]) -> dict[str, Any]:
    """Precision and recall of the alarm over all steps and objectives of some runs."""
    alarms, falls, hits = (sum(sum(row[name]) for row in rows) for name in COUNTS)
    fallen = sum(sum(_normalised(row, "fallen")) for row in rows)
    forecast = sum(sum(_normalised(row, "fallen_forecast")) for row in rows)
    return {
        "alarms": alarms,
        "falls": falls,
        "precision": hits / alarms if alarms else None,
        "recall": hits / falls if falls else None,
        "recall_by_size": forecast / fallen if fallen else None,
    }


def _normalised(row: Row, name: str) -> list[float]:
    """A loss in units of each objective's attainable range."""
    ranges = zip(row[name], row["floor"], row["ceiling"], strict=True)
    return [value / (high - low) if high > low else 0.0 for value, low, high in ranges]


def _factors(rows: Sequence[Row], worlds: Sequence[str], seed: int) -> Iterable[dict[str, Any]]:
    """Share of runs that sacrifice an objective, by each level of what the worlds sweep."""
    for world in worlds:
        own = [row for row in rows if row["world"] == world and row["error"] is None]
        for factor in FACTORS:
            for level in dict.fromkeys(row[factor] for row in own if factor in row):
                at = [row for row in own if row.get(factor) == level]
                share = interval(at, MEASURES["sacrifices"], seed)
                yield {"world": world, "factor": factor, "level": level, "sacrifices": share}


def _errors(rows: Sequence[Row]) -> list[dict[str, Any]]:
    reasons = Counter((row["algorithm"], row["error"]) for row in rows if row["error"])
    return [
        {"algorithm": name, "error": error, "runs": count}
        for (name, error), count in reasons.items()
    ]
