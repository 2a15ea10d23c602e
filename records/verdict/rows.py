"""A recorded run as pairs of what was forecast and what then happened, with standard errors."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from covlaw.records.constants import BASELINE, CERTAIN, CLEAR, OWN_BATCH, PREDICTIONS
from covlaw.records.ends import Ends
from covlaw.records.ladder import Array, Audit, LlmRun, audits, llm_run
from covlaw.records.runs import read_config
from covlaw.records.verdict.penalties import penalty_words
from covlaw.theory._numerics.errors import CovlawError


class Estimate(NamedTuple):
    """A number with its standard error."""

    value: float
    error: float
    sure: bool | None = None
    """Whether the audit, which had the samples, certified the sign (T21); None where it did not
    say: of measured values, and in older records."""

    @property
    def clear(self) -> bool:
        """Whether the sign stands out of the noise."""
        return abs(self.value) > CLEAR * self.error

    @property
    def certified(self) -> bool:
        """Whether the sign is certain: by the audit's own rule, else beyond 3 standard errors."""
        return abs(self.value) > CERTAIN * self.error if self.sure is None else self.sure

    @property
    def known(self) -> bool:
        """Whether there is one, with an error; perhaps 0."""
        return isfinite(self.value) and isfinite(self.error)

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
    """By name of `PREDICTIONS`."""
    realised: Estimate
    correlation: dict[str, float] = {}  # noqa: RUF012 - never changed
    """By forecast: of its error and that of `realised`; left out where they share no prompts."""

    def of(self, name: str) -> Estimate:
        """A prediction, or what was measured under the name of the baseline."""
        return self.realised if name == BASELINE else self.forecasts[name]


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
    ends: Ends
    """How it began and ended."""
    penalties: list[str]
    """What its penalties did, a line each."""


class NoAuditsError(CovlawError):
    """A run has no audits, so nothing to judge."""


def read_run(folder: Path, name: str = "") -> Run:
    """Read a run's records.

    Raises:
        CovlawError: if the folder holds no run, or (`NoAuditsError`) one without audits.
    """
    read_config(folder)
    found = llm_run(folder)
    made = audits([found]) if found else []
    if not (found and made):
        raise NoAuditsError(f"{folder} has no audits yet: train with audits ≥ 1")
    return of_run(found, name or folder.name, made)


def of_run(found: LlmRun, name: str, made: list[Audit]) -> Run:
    """What a verdict reads of a run that is read already, under a name, with its audits."""
    own = {audit.step: audit for audit in audits([found], "same")}
    columns = zip(found.by_step("reward_mean"), found.by_step("reward_se"), strict=True)
    values = [_estimates(*step) for step in columns]
    penalties = penalty_words(name, found.objectives, made)
    run = Run(name, found.objectives, [], [], values, [], found.ends, penalties)
    for audit in made:
        _add(run, audit, own.get(audit.step))
    return run


Show = Callable[[int, int, str], None]
"""(done, in all, what comes next)."""


def silent(done: int, total: int, news: str) -> None:
    """Show nothing."""


def read_runs(folders: list[Path], show: Show = silent) -> list[Run]:
    """Read several runs, each under the shortest name that tells it from the others.

    What a run's lines hold beside its verdict is let go before the next one is read. A run without
    audits beside others that have some is left out and said.

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
    found, bare = list[Run](), list[NoAuditsError]()
    for k, folder in enumerate(folders):
        name = folder.name if own and folder.name else str(folder)
        show(k, len(folders), f"reading {name}")
        try:
            found.append(read_run(folder, name))
        except NoAuditsError as error:
            show(k, len(folders), f"leaving out {name}: no audits")
            bare.append(error)
    if not found:
        raise bare[0]
    show(len(folders), len(folders), "comparing")
    return found


def _add(run: Run, audit: Audit, own: Audit | None) -> None:
    found = {n: _forecasts(audit, n) for n in PREDICTIONS if n != OWN_BATCH}
    unknown = [Estimate(float("nan"), float("inf"))] * len(run.objectives)
    found[OWN_BATCH] = _forecasts(own, "exact_change") if own else unknown
    shared = {n: audit.correlation(n).tolist() for n in PREDICTIONS if n != OWN_BATCH}
    for name, pairs in (("measured", run.audits), ("held_out", run.held_out)):
        if name in audit.record:
            for j, realised in enumerate(_estimates(*audit.change(name))):
                forecasts = {n: changes[j] for n, changes in found.items()}
                own_prompts = {n: r[j] for n, r in shared.items() if name == "measured"}
                place = (run.name, audit.step, run.objectives[j])
                pairs.append(Pair(*place, forecasts, realised, own_prompts))
    if "tails" in audit.record:
        run.tails.append(audit.record["tails"])


def _forecasts(audit: Audit, name: str) -> list[Estimate]:
    """A prediction for each objective, with what the audit says of its sign."""
    made = _estimates(*audit.change(name))
    said = audit.record.get("certified", {}).get(name) or [None] * len(made)
    return [estimate._replace(sure=sure) for estimate, sure in zip(made, said, strict=True)]


def _estimates(values: Array, errors: Array) -> list[Estimate]:
    """One an objective; what is not known has an infinite error."""
    errors = np.where(np.isnan(values + errors), np.inf, errors)
    return [Estimate(*pair) for pair in zip(values.tolist(), errors.tolist(), strict=True)]
