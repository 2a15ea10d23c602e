"""An inspection as plain lists and numbers."""

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor

from covlaw.plugins.inspection.conflicts import alarms, opposed
from covlaw.plugins.inspection.pools import Pool
from covlaw.plugins.inspection.signals import COMPARED
from covlaw.plugins.inspection.targets import Room
from covlaw.plugins.inspection.words import CAVEAT, snippet
from covlaw.records.schema.versions import INSPECTION

if TYPE_CHECKING:
    from covlaw.plugins.inspection.inspection import Inspection


def as_dict(found: "Inspection") -> dict[str, Any]:
    """Return the inspection as JSON can hold it, NaN and infinities as null."""
    log, scan, tally = found.log, found.scan, found.scan.tally
    names = list(log.names)
    size = tally.group_size()
    whole: dict[str, Any] = {
        "schema": INSPECTION,
        "format": log.format,
        "headline": found.headline,
        "rewards": names,
        "steps": list(log.steps),
        "completions": len(log),
        "groups": tally.groups,
        "prompts": len(log.labels),
        "signal": scan.signal,
        "weights": found.weights.tolist(),
        "notes": list(log.notes),
        "law": _laws(found),
        "law_pooled": _columns(scan.pool, scan.law, names),
        "curves": [
            {"step": s.step, "mean": s.mean.tolist(), "standard_error": s.mean_error.tolist()}
            for s in scan.laws
        ],
        "alarms": [a._asdict() | {"reward": names[a.reward]} for a in alarms(found)],
        "falls": [f._asdict() | {"reward": names[f.reward]} for f in found.falls],
        "covariance": found.covariance.tolist(),
        "covariance_error": scan.pool.standard_error()[:, scan.rewards].tolist(),
        "correlation": found.correlation.tolist(),
        "opposed": [[names[j], names[k]] for j, k in opposed(found)],
        "variance_share": dict(zip(names, found.mix.share.tolist(), strict=True)),
        "normalisers": {name: _columns(scan.pool, 1 + k, names) for k, name in enumerate(COMPARED)},
        "by_length": None
        if scan.by_length is None
        else {"unit": log.length_unit, **_columns(scan.pool, scan.by_length, names)},
        "filters": {
            by: {
                name: dict(zip(("estimate", "standard_error"), tally.filter_law(j, k), strict=True))
                for k, name in enumerate(names)
            }
            for j, by in enumerate(names)
        },
        "dead_groups": {
            **dict(zip(names, (tally.dead / tally.judged.clamp(min=1)).tolist(), strict=True)),
            "score": tally.dead_score / max(tally.groups, 1),
        },
        "tied_pairs": tally.tied / tally.couples if tally.couples else None,
        "group_size": {
            "mean": size.now,
            "least": tally.smallest,
            "most": tally.largest,
            "best": dict(zip(names, size.best.tolist(), strict=True)),
        },
        "weights_that_raise_all": {
            "answer": found.rising.answer,
            "weights": found.rising.mix.weights.tolist(),
            "law": found.rising.mix.law.tolist(),
            "standard_error": found.rising.mix.standard_error.tolist(),
            "left_out": [names[j] for j in found.rising.idle],
            "snippet": snippet(found),
        },
        "targets": None if found.room is None else _room(found.room, names),
        "precision": None if found.needed is None else found.needed._asdict(),
        "frontier": None if found.ahead is None else [p._asdict() for p in found.ahead.tilts],
        "best_of_n": None if found.ahead is None else [p._asdict() for p in found.ahead.best],
        "ahead_from": None
        if found.ahead is None
        else {"steps": found.ahead.steps, "groups": found.ahead.groups},
        "front": [vertex._asdict() for vertex in found.front],
        "cannot_say": CAVEAT,
    }
    cleaned: dict[str, Any] = finite(whole)
    return cleaned


def finite(value: Any) -> Any:
    """Replace NaN and infinities by None, at any depth."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _laws(found: "Inspection") -> list[dict[str, Any]]:
    rows = []
    for law in found.scan.laws:
        columns = (law.estimate, law.standard_error, law.certified)
        for name, estimate, error, certified in zip(
            found.log.names, *map(_list, columns), strict=True
        ):
            rows.append(
                {
                    "step": law.step,
                    "reward": name,
                    "estimate": estimate,
                    "standard_error": error,
                    "certified": certified,
                }
            )
    return rows


def _room(room: Room, names: list[str]) -> dict[str, Any]:
    return {
        "targets": dict(zip(names, room.targets, strict=True)),
        "headroom": float(room.found.factor),
        "certified": float(room.found.lower),
        "bundle": dict(zip(names, room.found.bundle.tolist(), strict=True)),
        "sentence": room.sentence,
    }


def _columns(pool: Pool, column: int, names: list[str]) -> dict[str, Any]:
    estimate, error = pool.estimate()[:, column], pool.standard_error()[:, column]
    return {
        name: {"estimate": float(estimate[j]), "standard_error": float(error[j])}
        for j, name in enumerate(names)
    }


def _list(values: Tensor) -> list[Any]:
    found: list[Any] = values.tolist()
    return found
