"""What a folder of runs on a real model says held out: forecast, diagnosis, change, effect."""

from pathlib import Path
from typing import Any

from covlaw.records import real

Cell = tuple[float, float, float]
"""(estimate, low, high)."""


def real_section(folder: Path) -> dict[str, Any]:
    """The section's rows, a cell an objective; {} where the folder has no such record."""
    if not (folder / real.FILE).is_file():
        return {}
    record = real.real_record(folder)
    names = record["objectives"]
    return {
        "objectives": names,
        "sizes": record["sizes"],
        "command": record["command"],
        "base": [(c["mean"], c["low"], c["high"]) for c in record["base"]["means"]],
        "law": _cells(record["law"]),
        "runs": [(name, *_run(run, names)) for name, run in record["runs"].items()],
        "seeds": real.seeds(record, real.PLAIN, real.GUARDED),
        "difference": [(c.mean, c.low, c.high) for c in real.difference(record)],
    }


def _run(run: real.Record, names: list[str]) -> tuple[list[Cell], list[Cell], float]:
    """(held-out change, exact form, root mean square of the log-ratio)."""
    held_out = [run["held_out"][name] for name in names]
    changes = [(cell["mean"], cell["low"], cell["high"]) for cell in held_out]
    return changes, _cells(run["exact_change"]), run["log_ratio_rms"]


def _cells(found: real.Record) -> list[Cell]:
    return list(zip(found["estimate"], found["low"], found["high"], strict=True))
