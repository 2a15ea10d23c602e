"""The verdict of one or several runs: what the law forecast at their audits, and what happened."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from covlaw.records.constants import BASELINE, HORIZONS, PREDICTIONS
from covlaw.records.schema.versions import VERDICT
from covlaw.records.verdict.falls import Fall, falls
from covlaw.records.verdict.horizons import calibration, windows
from covlaw.records.verdict.rows import Pair, Run, Show, read_runs, silent
from covlaw.records.verdict.signs import (
    Alarms,
    Pairs,
    Power,
    Signs,
    alarms,
    compared,
    power,
    precision,
    signs,
)
from covlaw.theory.estimators.calibration import Slope


class Agreement(NamedTuple):
    """A forecast against what happened."""

    signs: Signs
    slope: Slope


class RunVerdict(NamedTuple):
    """What several runs together say of the law."""

    runs: list[Run]
    agreement: dict[str, dict[str, Agreement]]
    """By horizon ("1", "1 held-out", "5", "20") and forecast."""
    alarms: dict[str, Alarms]
    """By forecast, on the audited steps."""
    power: dict[str, dict[str, Power]]
    """By objective and forecast."""
    falls: list[Fall]
    precision: dict[str, float]
    """By prediction, and of the baseline: the median standard error, where there is one."""
    pairs: dict[str, Pairs]
    """By prediction: how many of the audits' changes it could be compared with."""

    @property
    def audits(self) -> list[Pair]:
        """Of all runs."""
        return [pair for run in self.runs for pair in run.audits]

    @property
    def heavy_tails(self) -> tuple[int, int]:
        """Audits whose importance ratios had heavy tails, of those that say."""
        tails = [tail for run in self.runs for tail in run.tails]
        return sum(tail["heavy"] for tail in tails), len(tails)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able record."""
        return {
            "schema": VERDICT,
            "runs": [run.name for run in self.runs],
            "agreement": _plain(self.agreement),
            "alarms": _plain(self.alarms),
            "power": _plain(self.power),
            "falls": _plain(self.falls),
            "precision": self.precision,
            "pairs": _plain(self.pairs),
            "heavy_tails": dict(zip(("heavy", "audits"), self.heavy_tails, strict=True)),
            "audits": _plain(self.audits),
        }


def run_verdict(folders: Sequence[Path], show: Show = silent) -> RunVerdict:
    """Judge the audits of one or several runs together; `show` is told of each run read.

    Raises:
        CovlawError: if a folder holds no run, or one without audits, or is given twice.
    """
    runs = read_runs(list(folders), show)
    audits = [pair for run in runs for pair in run.audits]
    stretches = {"1": audits, "1 held-out": [pair for run in runs for pair in run.held_out]}
    for horizon in HORIZONS:
        stretches[str(horizon)] = [pair for run in runs for pair in windows(run, horizon)]
    agreement = {
        name: {f: Agreement(signs(pairs, f), calibration(pairs, f)) for f in PREDICTIONS}
        for name, pairs in stretches.items()
        if pairs
    }
    objectives = dict.fromkeys(name for run in runs for name in run.objectives)
    return RunVerdict(
        runs,
        agreement,
        {name: alarms(audits, name) for name in PREDICTIONS},
        {
            o: {f: power([p for p in audits if p.objective == o], f) for f in PREDICTIONS}
            for o in objectives
        },
        [fall for run in runs for fall in falls(run)],
        {name: precision(audits, name) for name in (*PREDICTIONS, BASELINE)},
        {name: compared(audits, name) for name in PREDICTIONS},
    )


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
