"""What a study found: who is sacrificed by which algorithm, and what reference defects cost."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from covlaw import __version__
from covlaw.ladder.study.factors import lines
from covlaw.ladder.study.measures import MEASURES, at, interval, price, sorted_out, went_through
from covlaw.ladder.study.paired import against_linear, between_optimisers, guards, places
from covlaw.ladder.study.settings import StudySettings
from covlaw.ladder.study.table import Row
from covlaw.records.schema.versions import STUDY
from covlaw.theory.estimators.interference import SACRIFICE

COUNTS = ("alarms", "falls", "hits")


def summarise(rows: Sequence[Row], settings: StudySettings) -> dict[str, Any]:
    """Build the whole of summary.json from the rows (with their rivals)."""
    worlds = [w for w in settings.worlds if any(row["world"] == w for row in rows)]
    own, seed = sorted_out(rows), settings.seed
    groups = list(dict.fromkeys(where for where, _ in own))
    return {
        "schema": STUDY,
        "covlaw": __version__,
        **settings.to_dict(),
        "omitted": settings.omitted,
        "threshold": SACRIFICE,
        "runs": len(rows),
        "table": [
            cell
            for world in groups
            for name in settings.scalarizers
            if (cell := _cell(own.get((world, name), ()), name, world, seed)) is not None
        ],
        "price": [
            cell
            for world in groups
            for name in settings.scalarizers
            if (cell := price(own, name, world, seed)) is not None
        ],
        "lines": list(lines(rows, worlds, seed)),
        "against_linear": list(against_linear(rows, seed)),
        "between_optimisers": list(between_optimisers(rows, seed)),
        "guards": list(guards(rows, seed)),
        "errors": _errors(rows),
    }


def _cell(own: Sequence[Row], algorithm: str, world: str, seed: int) -> dict[str, Any] | None:
    """One algorithm in one world."""
    sound = went_through(own)
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
        "at": {k: v | {"runs": len(at(sound, k))} for k, v in places(sound, seed).items()},
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


def _errors(rows: Sequence[Row]) -> list[dict[str, Any]]:
    reasons = Counter((row["algorithm"], row["error"]) for row in rows if row["error"])
    return [
        {"algorithm": name, "error": error, "runs": count}
        for (name, error), count in reasons.items()
    ]
