"""Which figures a run's records suffice for."""

from collections.abc import Callable, Mapping
from pathlib import Path

from covlaw.figures.registry import FIGURES
from covlaw.records.ladder import audits, llm_runs
from covlaw.records.study import SUMMARY, study_summary
from covlaw.theory._numerics.errors import CovlawError

KINDS: Mapping[str, Callable[[Path], bool]] = {
    "RL steps": lambda run: bool(llm_runs(run)),
    "audits": lambda run: bool(audits(llm_runs(run))),
    "audits or calibration": lambda run: (
        (run / "calibration.jsonl").exists() or bool(audits(llm_runs(run)))
    ),
    "reference forms": lambda run: _priced(run),
    "guarded RL runs": lambda run: len({r.guarded for r in llm_runs(run)}) == 2,
    "guarded runs": lambda run: (
        (run / SUMMARY).is_file() and bool(study_summary(run).get("guards"))
    ),
}
"""Kinds of records that no single file is: whether a run's folder holds some."""


def available(run: Path) -> list[str]:
    """Names of the figures that can be drawn of a run, in the report's order."""
    found = {kind: holds(run) for kind, holds in KINDS.items()}
    return [
        name
        for name, entry in FIGURES.items()
        if found.get(entry.needs, (run / entry.needs).exists())
    ]


def require(name: str, run: Path) -> None:
    """Raise CovlawError if the run does not hold what the figure needs."""
    if name not in available(run):
        needs = FIGURES[name].needs
        raise CovlawError(f"figure {name!r} needs {needs}, and {run} holds none")


def _priced(run: Path) -> bool:
    """Whether a study has compared reference forms with published ones."""
    if not (run / SUMMARY).exists():
        return False
    return any(price["sacrifices"] for price in study_summary(run)["price"])
