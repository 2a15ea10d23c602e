"""`covlaw check --probe`: search the open questions, going on from the best instance recorded."""

import json
from pathlib import Path
from typing import Any

import torch
from rich.status import Status
from rich.table import Table
from rich.text import Text
from torch import Tensor

from covlaw.ladder.exit_codes import REFUTED
from covlaw.ladder.screen import Console
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.probes import PROBES, Best, Probe, search

FOLDER = Path("runs/probes")


def run_probes(ids: tuple[str, ...], seconds: float, seed: int, folder: Path = FOLDER) -> int:
    """Search each open question of some statements for `seconds`, and record the best instances.

    Args:
        ids: Statement ids; none: every question.
        seconds: How long for each.
        seed: Decides the candidates, together with how many were tried before.
        folder: Where the best instances are kept.

    Returns:
        1 if a counterexample was found, else 0.
    """
    if not seconds > 0:
        raise CovlawError(f"seconds is {seconds}: use a number > 0")
    console, broken = Console(), False
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, style in (("", "left"), ("question", "left"), ("best", "right"), ("tried", "right")):
        table.add_column(name, justify=style)  # type: ignore[arg-type]
    for probe in _chosen(ids):
        best = _search(probe, seconds, seed, folder / f"{probe.id.replace(' ', '_')}.json")
        broken |= best.value > 1 + probe.slack
        words = f"{probe.question}\n{probe.standing}"
        table.add_row(probe.statement, Text(words), f"{best.value:.9f}", f"{best.tried:,}")
    console.print(table)
    console.print(
        "a value above 1 would be a counterexample; 1 says that the bound is attained.\n"
        f"best instances: {folder}",
        soft_wrap=True,
        markup=False,
    )
    return REFUTED if broken else 0


def _chosen(ids: tuple[str, ...]) -> list[Probe]:
    open_ids = {probe.statement for probe in PROBES.values()}
    for id in ids:
        if id.upper() not in open_ids:
            raise unknown("open question of statement", id, tuple(sorted(open_ids)))
    wanted = {id.upper() for id in ids} or open_ids
    return [probe for probe in PROBES.values() if probe.statement in wanted]


def _search(probe: Probe, seconds: float, seed: int, path: Path) -> Best:
    before, start = _recorded(probe, path)
    with Status(f"searching: {probe.id}", console=Console(stderr=True)) as status:

        def show(best: Best) -> None:
            status.update(f"{probe.id}: {best.tried:,} tried, best {best.value:.9f}")

        best = search(probe, seconds, seed + before, start, show)
    best = best._replace(tried=before + best.tried)
    _record(probe, best, path)
    return best


def _recorded(probe: Probe, path: Path) -> tuple[int, Tensor | None]:
    if not path.exists():
        return 0, None
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
        start = torch.tensor(kept["parameters"], dtype=torch.float64)
        if start.shape != (probe.dimension,):
            raise ValueError(f"{tuple(start.shape)} parameters instead of {probe.dimension}")
        return int(kept["tried"]), start
    except (ValueError, KeyError, TypeError) as error:
        raise CovlawError(f"{path} is damaged ({error}): delete it to start again") from error


def _record(probe: Probe, best: Best, path: Path) -> None:
    """Write the best instance to a temporary name and rename it, so that none is ever lost."""
    kept = {
        "question": probe.question,
        "value": best.value,
        "tried": best.tried,
        "instance": probe.describe(best.parameters),
        "parameters": best.parameters.tolist(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    temporary.replace(path)
