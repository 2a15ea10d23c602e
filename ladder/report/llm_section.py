"""What an LLM run shows: curves in numbers, every audit, the law's budget, some completions."""

import math
from typing import Any, NamedTuple

import numpy as np

from covlaw.ladder.report.run_facts import evaluations, guard_facts, model_facts
from covlaw.ladder.report.run_frontier import run_frontier
from covlaw.records.constants import BUDGET_TERMS, CLEAR, PREDICTION_WORDS
from covlaw.records.findings import agreement
from covlaw.records.ladder import Array, Audit, LlmRun, audits
from covlaw.records.reading import Recorded

PREDICTIONS = {n: PREDICTION_WORDS[n] for n in ("law", "clipped", "first_order", "exact_change")}
"""An audit's forecasts on a page; those on the own batch have a table of their own."""
SAMPLES = {
    "independent": "on samples that took no part in the update",
    "same": "on the batch itself, which flatters every forecast",
}
CURVE = 100.0, 24.0
"""Width and height of a small curve."""
POINTS = 400
"""At most in it: more than a screen shows."""


class ShownChange(NamedTuple):
    """A change with its standard error."""

    value: float
    error: float
    right: bool | None
    """Whether its sign is the measured one; None where the measured one is not clear."""


class AuditRow(NamedTuple):
    """One objective at one audit."""

    step: int
    objective: str
    forecasts: list[ShownChange]
    measured: ShownChange
    budget: list[float | None]
    """Its terms; empty where the sample has none."""
    realised: float | None
    """The exact form: the sum of the budget's terms."""


class Curve(NamedTuple):
    """One quantity over training."""

    name: str
    start: float
    end: float
    least: float
    most: float
    points: str
    """Of an SVG polyline."""


def llm_sections(recorded: Recorded) -> list[dict[str, Any]]:
    """One section a run."""
    return [_section(recorded, run, place) for place, run in enumerate(recorded.runs)]


def agreements(runs: list[LlmRun]) -> list[dict[str, Any]]:
    """How often each forecast met the measured change."""
    made = audits(runs)
    found = [(word, agreement(made, name)) for name, word in PREDICTIONS.items()] if made else []
    return [{"name": word, "within": row.within, "n": row.n} for word, row in found]


def audit_rows(run: LlmRun, sample: str) -> list[AuditRow]:
    """Every audit of a run on a sample, a row an objective."""
    made = audits([run], sample)
    return [_row(audit, k) for audit in made for k in range(len(run.objectives))]


def _section(recorded: Recorded, run: LlmRun, place: int) -> dict[str, Any]:
    ends, folder = run.ends, recorded.folder_of(run)
    return {
        "id": f"run-{place}",
        "run": run,
        "rewards": _curves(run, "reward_mean"),
        "outcome": list(zip(run.objectives, ends.start, ends.end, ends.sacrificed, strict=True)),
        "weights": _curves(run, "weights"),
        "audits": {sample: audit_rows(run, sample) for sample in SAMPLES},
        "samples": recorded.samples(run),
        "guard": guard_facts(run),
        "frontier": run_frontier(folder, run),
        "model": model_facts(folder, run),
        "evaluations": evaluations(folder),
    }


def _row(audit: Audit, k: int) -> AuditRow:
    measured, error = (float(part[k]) for part in audit.change("measured"))
    clear = abs(measured) > CLEAR * error
    forecasts = []
    for name in PREDICTIONS:
        value, own_error = (float(part[k]) for part in audit.change(name))
        judged = clear and math.isfinite(value)
        forecasts.append(ShownChange(value, own_error, value * measured > 0 if judged else None))
    record = audit.record
    return AuditRow(
        audit.step,
        audit.run.objectives[k],
        forecasts,
        ShownChange(measured, error, None),
        [record["budget"][term][k] for term in BUDGET_TERMS if "budget" in record],
        record["exact_change"]["estimate"][k],
    )


def _curves(run: LlmRun, field: str) -> list[Curve]:
    """A field's curve an objective; [] where a step has none."""
    if any(step.get(field) is None for step in run.steps):
        return []
    values = run.column(field)
    return [curve(name, values[:, k]) for k, name in enumerate(run.objectives)]


def _thinned(values: Array) -> list[int]:
    """Steps whose points a small curve needs: of each stretch the lowest and the highest one."""
    known = np.flatnonzero(np.isfinite(values))
    kept = set[int]()
    for part in np.array_split(known, min(POINTS // 2, max(len(known), 1))):
        if len(part):
            kept |= {int(part[values[part].argmin()]), int(part[values[part].argmax()])}
    ends = {int(known[0]), int(known[-1])} if len(known) else set[int]()
    return sorted(kept | ends)


def curve(name: str, values: Array) -> Curve:
    """A small curve of values a step, NaN where unknown."""
    known = values[np.isfinite(values)]
    least, most = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    width, height = CURVE
    across = width / max(len(values) - 1, 1)
    up = height / (most - least) if most > least else 0.0
    points = " ".join(
        f"{k * across:.1f},{height - (values[k] - least) * up:.1f}" for k in _thinned(values)
    )
    return Curve(name, float(values[0]), float(values[-1]), least, most, points)
