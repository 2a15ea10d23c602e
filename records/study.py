"""Reading what a study found (`summary.json`)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covlaw.theory._numerics.errors import CovlawError

SUMMARY, ALL = "summary.json", "all"
Cells = dict[tuple[str, str], dict[str, Any]]
"""(algorithm, world) → its cell."""


def study_summary(folder: Path) -> dict[str, Any]:
    """Read a study's summary.

    Raises:
        CovlawError: if there is none, or it holds no finished run.
    """
    path = folder / SUMMARY
    if not path.is_file():
        raise CovlawError(f"{folder} holds no {SUMMARY}: run `covlaw study --out {folder}`")
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not any(cell["sacrifices"] for cell in summary["table"]):
        raise CovlawError(f"{path} holds no finished run: its errors say why")
    return summary


def table_of(summary: dict[str, Any]) -> tuple[Cells, list[str], list[str]]:
    """Return the cells, the worlds ("all" last) and the algorithms, the safest family first."""
    cells = {(c["algorithm"], c["world"]): c for c in summary["table"]}
    worlds = list(dict.fromkeys(world for _, world in cells))
    last = worlds[-1]
    names = [
        name
        for name in dict.fromkeys(name for name, _ in cells)
        if (name, last) in cells and cells[name, last]["sacrifices"]
    ]
    share = {name: cells[name, last]["sacrifices"]["mean"] for name in names}
    kin = families(names)
    head = {name: share.get(kin[name], share[name]) for name in names}
    return cells, worlds, sorted(names, key=lambda name: (head[name], kin[name], name))


def families(names: Sequence[str]) -> dict[str, str]:
    """Name of each algorithm → the one that it is a form of ("mgda-ref" → "mgda")."""
    return {name: name.split("-")[0] for name in names}


def percent(share: float) -> str:
    """Write a share as whole percents."""
    return f"{100 * share:.0f} %"
