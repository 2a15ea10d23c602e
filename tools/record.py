"""Keep a finished ladder's small files: `python tools/record.py RUN`, from the source tree only."""

import shutil
import sys
from pathlib import Path

from covlaw.figures._drawing.render import recorded
from covlaw.figures.registry import FIGURES
from covlaw.records.ladder import verdict_file

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

    Raises:
        CovlawError: if the folder holds no finished ladder.
    """
    verdict_file(run)
    found = [p for p in (*run.glob("*"), *run.glob("llm/*/*")) if p.name in SMALL and p.is_file()]
    kept = {source: target / source.relative_to(run) for source in sorted(found)}
    shutil.rmtree(target, ignore_errors=True)
    for source, copy in kept.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    return list(kept.values())


if __name__ == "__main__":
    for path in record(Path(sys.argv[1]), recorded()):
        print(path)
