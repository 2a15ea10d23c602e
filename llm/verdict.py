"""The verdict of a whole run: what the law forecast at its audits, and what then happened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from covlaw.llm.records import LAWS, STEPS, read_config, read_lines
from covlaw.theory.errors import CovlawError

FORECASTS = (*LAWS, "first_order", "exact_change")
"""The first three are in units of the signal; times the audit's scale they are changes."""
CLEAR = 2.0
"""Standard errors beyond which a change's sign is taken as seen (two-sided 5 %)."""


class Estimate(NamedTuple):
    """A number with its standard error."""

    value: float
    error: float

    @property
    def clear(self) -> bool:
        """Whether the sign stands out of the noise."""
        return abs(self.value) > CLEAR * self.error


class AuditRow(NamedTuple):
    """One objective at one audit, everything in units of the objective's change."""

    step: int
    objective: str
    forecasts: dict[str, Estimate]
    """By name of `FORECASTS`, on samples apart from the update."""
    same_sample: Estimate
    """`exact_change` on the batch that made the update."""
    measured: Estimate


class SignAgreement(NamedTuple):
    """How often a forecast had the measured change's sign, among clear ones."""

    agree: int
    clear: int


def audit_rows(run: Path) -> Iterator[AuditRow]:
    """Yield the audits of a run, objective by objective.

    Raises:
        CovlawError: if the folder holds no run.
    """
    read_config(run)
    for record in read_lines(run / STEPS):
        by_sample = {audit["sample"]: audit for audit in record["audits"]}
        if by_sample:
            for j, objective in enumerate(record["objectives"]):
                yield _row(record["step"], objective, j, by_sample)


def sign_agreement(rows: list[AuditRow], forecast: str) -> SignAgreement:
    """Compare the signs of a forecast and of the measured change where both are clear."""
    pairs = [(r.forecasts[forecast], r.measured) for r in rows]
    clear = [(f, m) for f, m in pairs if f.clear and m.clear]
    return SignAgreement(sum(f.value * m.value > 0 for f, m in clear), len(clear))


def run_verdict(run: Path) -> tuple[list[AuditRow], dict[str, SignAgreement]]:
    """Return a run's audit rows and each forecast's sign agreement.

    Raises:
        CovlawError: if the folder holds no run, or one without audits.
    """
    rows = list(audit_rows(run))
    if not rows:
        raise CovlawError(f"{run} has no audits yet: train with audits ≥ 1")
    return rows, {name: sign_agreement(rows, name) for name in FORECASTS}


def _row(step: int, objective: str, j: int, by_sample: dict[str, dict[str, Any]]) -> AuditRow:
    independent, same = by_sample["independent"], by_sample["same"]
    forecasts = {name: _estimate(independent, name, j) for name in FORECASTS}
    return AuditRow(
        step,
        objective,
        forecasts,
        _estimate(same, "exact_change", j),
        _estimate(independent, "measured", j),
    )


def _estimate(audit: dict[str, Any], name: str, j: int) -> Estimate:
    value, error = audit[name]["estimate"][j], audit[name]["se"][j]
    if value is None:  # a law that has no signal to speak of
        return Estimate(float("nan"), float("inf"))
    scale = audit["scale"] if name in LAWS else 1.0
    return Estimate(scale * value, abs(scale) * (float("inf") if error is None else error))
