"""The page of an inspection: the verdict, then every table, in one file."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from covlaw import __version__
from covlaw.ladder.plain_text import spelled
from covlaw.ladder.report.llm_section import CURVE, Curve, curve
from covlaw.ladder.report.page import environment
from covlaw.ladder.report.script import script, style
from covlaw.plugins.inspection.conflicts import opposed, trades
from covlaw.plugins.inspection.inspection import Inspection
from covlaw.plugins.inspection.losers import Loser
from covlaw.plugins.inspection.words import signal_words
from covlaw.plugins.logs.texts import Group, Text

MOST = 16
"""Completions of a group that are shown."""
EMPTY: Mapping[Group, Sequence[Text]] = {}
LAST = 40
"""Steps in the table of laws; the curves show all."""
NORMALISER_WORDS = {"dr_grpo": "raw", "grpo": "group std", "gdpo": "GDPO"}


def inspection_page(
    found: Inspection, worst: Sequence[Loser] = (), texts: Mapping[Group, Sequence[Text]] = EMPTY
) -> str:
    """Return the whole page.

    Args:
        found: What it is about.
        worst: Groups whose completions are shown.
        texts: Their completions, from `read_texts`; none: the log has no texts.
    """
    record = found.to_dict()
    template = environment().get_template("inspection.html.jinja")
    return template.render(
        found=record,
        signal=signal_words(found),
        lost={found.log.names[trade.reward] for trade in trades(found)},
        rewards=[_reward(found, record, j) for j in range(len(found.log.names))],
        normalisers=NORMALISER_WORDS,
        steps=_steps(record),
        opposed={frozenset((found.log.names[j], found.log.names[k])) for j, k in opposed(found)},
        front=_front(record),
        curve_size=CURVE,
        version=__version__,
        style=style(),
        lost_most=[_loser(found, loser, texts) for loser in worst if texts],
        **script("tables.js"),
    )


def _reward(found: Inspection, record: dict[str, Any], j: int) -> dict[str, Any]:
    name = found.log.names[j]
    best = record["group_size"]["best"][name]
    return {
        "name": name,
        "weight": record["weights"][j],
        "share": record["variance_share"][name],
        "law": record["law_pooled"][name],
        "normalisers": [record["normalisers"][key][name] for key in NORMALISER_WORDS],
        "by_length": None if record["by_length"] is None else record["by_length"][name],
        "dead": record["dead_groups"][name],
        "best_size": best if best is not None and isfinite(best) else None,
        "alarms": sum(alarm["reward"] == name for alarm in record["alarms"]),
        "law_curve": _curve(name, [float(law.estimate[j]) for law in found.scan.laws]),
        "mean_curve": _curve(name, [float(law.mean[j]) for law in found.scan.laws]),
    }


def _loser(
    found: Inspection, loser: Loser, texts: Mapping[Group, Sequence[Text]]
) -> dict[str, Any]:
    own = texts.get((loser.step, loser.prompt), ())
    rows = sorted(own, key=lambda text: -(text.advantage or 0.0))
    return {
        "reward": found.log.names[loser.reward],
        "step": loser.step,
        "law": loser.law,
        "prompt": spelled(str(loser.prompt)),
        "rows": [text._asdict() | {"completion": spelled(text.completion)} for text in rows[:MOST]],
        "more": max(len(rows) - MOST, 0),
    }


def _curve(name: str, values: list[float]) -> Curve | None:
    known = np.asarray(values)
    return curve(name, known) if np.isfinite(known).sum() > 1 else None


def _steps(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The last steps' laws, one dict a step."""
    shown: dict[int, dict[str, Any]] = {}
    raised = {(alarm["step"], alarm["reward"]) for alarm in record["alarms"]}
    for row in record["law"]:
        line = shown.setdefault(row["step"], {"step": row["step"], "cells": []})
        line["cells"].append(row | {"alarm": (row["step"], row["reward"]) in raised})
    return list(shown.values())[-LAST:]


def _front(record: dict[str, Any]) -> dict[str, Any] | None:
    """Points of the front of two or three rewards, the first against the others, in a box."""
    vertices, names = record["front"], record["rewards"]
    if len(vertices) < 2:
        return None
    panels = []
    for k in range(1, len(names)):
        pairs = [(v["values"][0], v["values"][k]) for v in vertices]
        panels.append({"name": names[k], "points": _boxed(pairs), **_range(pairs)})
    return {"of": names[0], "kl": vertices[0]["kl"], "panels": panels, "vertices": vertices}


def _range(pairs: list[tuple[float, float]]) -> dict[str, float]:
    xs, ys = zip(*pairs, strict=True)
    return {"left": min(xs), "right": max(xs), "low": min(ys), "high": max(ys)}


def _boxed(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Coordinates in a box of 300 × 200, y upwards."""
    span = _range(pairs)
    wide = (span["right"] - span["left"]) or 1.0
    tall = (span["high"] - span["low"]) or 1.0
    return [
        (
            round(10 + 280 * (x - span["left"]) / wide, 1),
            round(190 - 180 * (y - span["low"]) / tall, 1),
        )
        for x, y in pairs
    ]
