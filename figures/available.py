"""Which figures a run's records suffice for."""

from pathlib import Path

from covlaw.figures.records import audits, llm_runs
from covlaw.figures.registry import FIGURES
from covlaw.figures.study_records import SUMMARY, study_summary
from covlaw.theory.errors import CovlawError

NEEDS = {
    "ladder_matrix": "verdicts",
    "interference": "RL steps",
    "predicted_vs_realised": "audits",
    "law_budget": "law budgets",
    "geometry": "geometry",
    "same_sample_optimism": "audits",
    "study": "study",
    "reference_defects": "reference forms",
}
"""What must be recorded for a figure to be drawn."""


def available(run: Path) -> list[str]:
    """Names of the figures that can be drawn of a run, in the report's order."""
    runs = llm_runs(run)
    studied = study_summary(run) if (run / SUMMARY).is_file() else {"price": []}
    found = {
        "verdicts": (run / "verdicts.json").is_file(),
        "RL steps": bool(runs),
        "audits": bool(audits(runs)),
        "law budgets": (run / "budgets.jsonl").is_file(),
        "geometry": (run / "geometry.jsonl").is_file(),
        "study": (run / SUMMARY).is_file(),
        "reference forms": any(price["sacrifices"] for price in studied["price"]),
    }
    return [name for name in FIGURES if found[NEEDS[name]]]


def require(name: str, run: Path) -> None:
    """Raise CovlawError if the run does not hold what the figure needs."""
    if name not in available(run):
        raise CovlawError(f"figure {name!r} needs {NEEDS[name]}, and {run} holds none")
