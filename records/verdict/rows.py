"""A recorded run as pairs of what was forecast and what then happened, with standard errors."""

from pathlib import Path
from typing import Any, NamedTuple

from covlaw.records.runs import LAWS, STEPS, read_config, read_lines
from covlaw.theory._numerics.errors import CovlawError

OWN_BATCH = "own_batch"
"""The exact form on the samples that made the update: optimistic, for comparison."""
FORECASTS = (*LAWS, "first_order", "exact_change", OWN_BATCH)
"""The laws are in units of the signal; times the audit's scale they are changes."""
CLEAR = 2.0
"""Standard errors beyond which a change's sign is taken as seen (two-sided 5 %)."""
CERTAIN = 3.0
"""Standard errors beyond which a sign is certified (T21): wrong once in 700."""


class Estimate(NamedTuple):
    """A number with its standard error."""

    value: float
    error: float

    @property
    def clear(self) -> bool:
        """Whether the sign stands out of the noise."""
        return abs(self.value) > CLEAR * self.error

    @property
    def certified(self) -> bool:
        """Whether the sign is taken as certain."""
        return abs(self.value) > CERTAIN * self.error

    @property
    def measured(self) -> bool:
        """Whether its error is known: not for a missing forecast, nor where nothing varied."""
        return 0 < self.error < float("inf")


class Pair(NamedTuple):
    """One objective over one stretch of steps, everything in units of the objective's change."""

    run: str
    step: int
    """Where the stretch begins."""
    objective: str
    forecasts: dict[str, Estimate]
    """By name of `FORECASTS`."""
    realised: Estimate


class Run(NamedTuple):
    """What a verdict reads of one run."""

    name: str
    objectives: list[str]
    audits: list[Pair]
    """The change in the audited step itself, measured on fresh samples of the same prompts."""
    held_out: list[Pair]
    """The same measured on held-out prompts, where the run did."""
    values: list[list[Estimate]]
    """Mean rewards of each step's batch, objective by objective: of the policy before the step."""
    tails: list[dict[str, Any]]
    """Of the audits' importance ratios, where recorded."""


def read_run(folder: Path, name: str = "") -> Run:
    """Read a run's records.

    Raises:
        CovlawError: if the folder holds no run, or one without audits.
    """
    read_config(folder)
    run = Run(name or folder.name, [], [], [], [], [])
    for record in read_lines(folder / STEPS):
        run.objectives[:] = record["objectives"]
        means, errors = record["reward_mean"], record["reward_se"]
        run.values.append([_number(*pair) for pair in zip(means, errors, strict=True)])
        audits = {audit["sample"]: audit for audit in record["audits"]}
        if audits:
            _add(run, record["step"], audits["independent"], audits["same"])
    if not run.audits:
        raise CovlawError(f"{folder} has no audits yet: train with audits ≥ 1")
    return run


def read_runs(folders: list[Path]) -> list[Run]:
    """Read several runs, each under the shortest name that tells it from the others.

    Raises:
        CovlawError: as `read_run`, and if there is none or one is given twice.
    """
    if not folders:
        raise CovlawError("no run given: name at least one folder")
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        twice = next(p for p in places if places.count(p) > 1)
        raise CovlawError(f"{twice} is given twice: its audits would count double")
    own = len({p.name for p in places}) == len(places)
    return [read_run(f, f.name if own and f.name else str(f)) for f in folders]


def _add(run: Run, step: int, independent: dict[str, Any], same: dict[str, Any]) -> None:
    held_out = independent.get("held_out")
    for j, objective in enumerate(run.objectives):
        forecasts = {n: _forecast(independent, n, j) for n in FORECASTS if n != OWN_BATCH}
        forecasts[OWN_BATCH] = _forecast(same, "exact_change", j)
        measured = _forecast(independent, "measured", j)
        run.audits.append(Pair(run.name, step, objective, forecasts, measured))
        if held_out:
            seen = _forecast(independent, "held_out", j)
            run.held_out.append(Pair(run.name, step, objective, forecasts, seen))
    if "tails" in independent:
        run.tails.append(independent["tails"])


def _forecast(audit: dict[str, Any], name: str, j: int) -> Estimate:
    found = _number(audit[name]["estimate"][j], audit[name]["se"][j])
    if name not in LAWS:
        return found
    scale = audit[name].get("scale", audit.get("scale"))  # older audits hold one for all
    if not scale:  # no signal that varies, or none that samples show
        return _number(None, None)
    return Estimate(scale * found.value, abs(scale) * found.error)


def _number(value: float | None, error: float | None) -> Estimate:
    if value is None:  # e.g. a law that has no signal to speak of
        return Estimate(float("nan"), float("inf"))
    return Estimate(value, float("inf") if error is None else error)
