"""Keep a finished ladder's small files: `python tools/record.py RUN`, from the source tree only."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from covlaw.figures._drawing.render import recorded
from covlaw.figures.registry import FIGURES
from covlaw.llm.rung import instances
from covlaw.records.ladder import verdict_file
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.base import Sides
from covlaw.theory.worlds.updates import Update

JUDGED = "judged.jsonl"
"""What the verdict on T8 on rung `llm` was read off: both sides of each audit, a line each."""

SMALL = frozenset(
    {
        *("config.toml", "environment.json", "steps.jsonl", "samples.jsonl"),
        *("calibration.jsonl", "slopes.jsonl"),
        *(entry.needs for entry in FIGURES.values()),
    }
)
"""Files of a run that figures and pages read, and that say how it was made."""


def record(run: Path, target: Path) -> list[Path]:
    """Copy what the figures read, and what says how it was made; replaces an earlier record.

    The audits' arrays are left behind; what T8 was judged by is kept of them (`JUDGED`).

    Raises:
        CovlawError: if the folder holds no finished ladder.
    """
    verdict_file(run)
    sides = "".join(json.dumps(line) + "\n" for line in judged(run))
    found = [p for p in (*run.glob("*"), *run.glob("llm/*/*")) if p.name in SMALL and p.is_file()]
    kept = {source: target / source.relative_to(run) for source in sorted(found)}
    shutil.rmtree(target, ignore_errors=True)
    for source, copy in kept.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    (target / JUDGED).write_text(sides, encoding="utf-8")
    return [*kept.values(), target / JUDGED]


def judged(run: Path) -> Iterator[dict[str, Any]]:
    """Yield both sides of T8 on every audit of a ladder's RL runs, in their order."""
    audited = sorted({path.parent.parent for path in run.glob("llm/*/audits/*.safetensors")})
    for folder in audited:
        for update in instances(folder, Update):
            sides = STATEMENTS["T8"].sides(update, np.random.default_rng(0))
            yield {"audit": update.label, **_plain(sides)}


def _plain(sides: Sides) -> dict[str, Any]:
    halves = None if sides.halves is None else sides.halves._asdict()
    found = sides._asdict() | {"halves": halves}
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, Tensor) else value


if __name__ == "__main__":
    for path in record(Path(sys.argv[1]), recorded()):
        print(path)
