"""What recorded runs show, as numbers: the titles of the figures and the first lines of a report.

Findings about algorithms are never verdicts.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from covlaw.records.constants import CLEAR
from covlaw.records.ladder import Array, Audit, LlmRun

DECIMALS, MOST_DECIMALS, SMALL = 2, 12, 0.095
"""Decimals of mean rewards, and below which size two of them say too little."""


class Outcome(NamedTuple):
    """One objective under one method, over seeds."""

    objective: str
    method: str
    start: float
    """Mean reward at the start, over seeds."""
    end: float
    """Mean reward at the end, over seeds."""
    sacrificed: int
    """Seeds in which it was (`records.ends`)."""
    seeds: int


def counted(count: int, noun: str) -> str:
    """Return "1 run", "6 runs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span(values: Sequence[float], digits: int = 0, to: str = "–") -> str:
    """Return "3" or, least to largest, "3–5"; "unknown" where no value is finite.

    Args:
        values: In any order; what is not finite is left out.
        digits: Decimals.
        to: Stands between the ends.
    """
    known = [f"{value:.{digits}f}" for value in sorted(values) if math.isfinite(value)]
    if not known:
        return "unknown"
    return known[0] if known[0] == known[-1] else f"{known[0]}{to}{known[-1]}"


def levels(values: Sequence[float]) -> list[str]:
    """Mean rewards that stand together, all to the same decimals.

    Two of them, or as many as the largest needs for two digits; "–" for what is not known.
    """
    known = [abs(value) for value in values if math.isfinite(value)]
    largest = max(known, default=0.0)
    small = 0 < largest < SMALL
    decimals = min(1 - math.floor(math.log10(largest)), MOST_DECIMALS) if small else DECIMALS
    return [f"{v:.{decimals}f}" if math.isfinite(v) else "–" for v in (x + 0.0 for x in values)]


def seeds_of(runs: list[LlmRun]) -> str:
    """Return "seed 0", "seeds 0, 1, 2"."""
    seeds = sorted({run.seed for run in runs})
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def outcomes(runs: list[LlmRun]) -> list[Outcome]:
    """Start and end of every objective under every method, in the order of `methods`."""
    return [
        _outcome([run for run in runs if run.method == method], index)
        for method in methods(runs)
        for index in range(len(runs[0].objectives))
    ]


def methods(runs: list[LlmRun]) -> list[str]:
    """The runs' methods, guarded ones for themselves; those of `linear`, the baseline, first."""
    found = {(run.scalarizer != "linear", run.method) for run in runs}
    return [name for _, name in sorted(found)]


def interference_claim(runs: list[LlmRun]) -> str:
    """One sentence on what each method sacrificed, true of these runs."""
    found = outcomes(runs)
    return "; ".join(_sentence(found, name) for name in methods(runs))


class Agreement(NamedTuple):
    """How often a prediction met the measured change: within `CLEAR` errors of the difference."""

    prediction: str
    within: int
    n: int

    @property
    def share(self) -> float:
        """Fraction within; NaN where there is nothing to compare."""
        return self.within / self.n if self.n else float("nan")


def agreement(audits: list[Audit], prediction: str) -> Agreement:
    """Compare a prediction with the change measured on fresh samples, audit by audit."""
    if not audits:
        return Agreement(prediction, 0, 0)
    predicted, predicted_error = stack(audits, prediction)
    measured, measured_error = stack(audits, "measured")
    allowed = CLEAR * np.hypot(predicted_error, measured_error)
    comparable = np.isfinite(predicted) & np.isfinite(measured) & np.isfinite(allowed)
    within = comparable & (np.abs(predicted - measured) <= allowed)
    return Agreement(prediction, int(within.sum()), int(comparable.sum()))


def stack(audits: list[Audit], prediction: str) -> tuple[Array, Array]:
    """`(estimates, standard errors)` of one prediction, (audits, M) each."""
    pairs = [audit.change(prediction) for audit in audits]
    return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])


def _outcome(runs: list[LlmRun], index: int) -> Outcome:
    start, end = (float(np.mean([run.ends[side][index] for run in runs])) for side in (0, 1))
    sacrificed = sum(bool(run.ends.sacrificed[index]) for run in runs)
    name, method = runs[0].objectives[index], runs[0].method
    return Outcome(name, method, start, end, sacrificed, len(runs))


def _sentence(found: list[Outcome], method: str) -> str:
    own = [outcome for outcome in found if outcome.method == method]
    paying = [outcome for outcome in own if outcome.sacrificed]
    if not paying:
        lowest = min(own, key=lambda outcome: outcome.end - outcome.start)
        words = "largest fall" if lowest.end < lowest.start else "least gain"
        return f"{method} sacrifices none ({words}: {lowest.objective} {_values(lowest)})"
    parts = [
        f"{o.objective} in {o.sacrificed} of {o.seeds} runs (mean {_values(o)})" for o in paying
    ]
    return f"{method} sacrifices {' and '.join(parts)}"


def _values(outcome: Outcome) -> str:
    return " → ".join(levels([outcome.start, outcome.end]))
