"""Reading what a study found (`summary.json`)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covlaw.records.parsing import read_json
from covlaw.records.schema.files import WHOLE
from covlaw.theory._numerics.errors import CovlawError

SUMMARY, ALL = "summary.json", "all"
"""A record made before optimisers were a factor has cells over all its worlds too."""
END = "end"
BUDGET = "0.1"
"""KL from the start, in nats, at which runs are compared beside their ends."""
LEAD = "transformer adamw-.003"
"""Where one world has to stand for all: the usual optimiser, at the middle of its step sizes."""
Cells = dict[tuple[str, str], dict[str, Any]]
"""(algorithm, world) → its cell."""


def study_summary(folder: Path) -> dict[str, Any]:
    """Read a study's summary.

    Raises:
        CovlawError: if there is none, or it holds no finished run.
    """
    path = folder / SUMMARY
    try:
        summary = read_json(path, WHOLE[SUMMARY])
    except FileNotFoundError as error:
        raise CovlawError(
            f"{folder} holds no {SUMMARY}: run `covlaw study --out {folder}`"
        ) from error
    if not any(_known(cell) for cell in summary["table"]):
        raise CovlawError(f"{path} holds no finished run: its errors say why")
    return summary


def table_of(summary: dict[str, Any]) -> tuple[Cells, list[str], list[str]]:
    """Return the cells, the worlds ("all" last) and the algorithms, the safest family first."""
    cells = {(c["algorithm"], c["world"]): c for c in summary["table"]}
    worlds = in_order([world for _, world in cells])
    last = worlds[-1]
    names = [
        name
        for name in dict.fromkeys(name for name, _ in cells)
        if (name, last) in cells and _known(cells[name, last])
    ]
    share = {name: cells[name, last]["sacrifices"]["mean"] for name in names}
    kin = families(names)
    head = {name: share.get(kin[name], share[name]) for name in names}
    return cells, worlds, sorted(names, key=lambda name: (head[name], kin[name], name))


def in_order(worlds: Sequence[str]) -> list[str]:
    """Worlds as they first occur, each with SGD first and then by step size."""
    kinds = [world.partition(" ")[0] for world in worlds]
    return sorted(dict.fromkeys(worlds), key=lambda w: (kinds.index(w.split(" ")[0]), _step(w)))


def _step(world: str) -> tuple[bool, float]:
    method, _, rate = world.partition(" ")[2].partition("-")
    return method != "sgd", float(rate or 0.0)


def _known(cell: dict[str, Any]) -> bool:
    """Whether a run went through."""
    return bool(cell["sacrifices"]) and cell["sacrifices"]["mean"] is not None


def places(summary: dict[str, Any]) -> tuple[str, ...]:
    """Where runs were compared: KL from the start in nats, as text, and the end, which comes last.

    The end alone in records made before runs were compared at equal KL.
    """
    return tuple(summary["table"][0].get("at", {END: None}))


def compared_at(summary: dict[str, Any]) -> tuple[str, ...]:
    """The places that stand for all: equal KL, where it was recorded, and the end."""
    return (BUDGET, END) if BUDGET in places(summary) else (END,)


def lead_of(worlds: Sequence[str]) -> str:
    """The world that stands for all: `LEAD`, or all together in records that lack it."""
    return LEAD if LEAD in worlds else worlds[-1]


def measured(cell: dict[str, Any], name: str, place: str = END) -> dict[str, Any] | None:
    """A measure of a cell with its interval, at a place; None where no run got there."""
    found = cell[name] if place == END else cell["at"][place][name]
    return found if found and found.get("n", 1) and found["mean"] is not None else None


def mean_of(cell: dict[str, Any] | None, name: str, place: str = END) -> float:
    """Mean of a measure of a cell, at a place; NaN without a cell or where no run got there."""
    found = measured(cell, name, place) if cell else None
    return float(found["mean"]) if found else float("nan")


def families(names: Sequence[str]) -> dict[str, str]:
    """Name of each algorithm → the one that it is a form of ("mgda-ref" → "mgda")."""
    return {name: name.split("-")[0] for name in names}


def percent(share: float, unknown: str = "none") -> str:
    """Write a share as whole percents; NaN as the word for what is not known."""
    return unknown if math.isnan(share) else f"{100 * share:.0f} %"
