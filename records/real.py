"""Runs on a real model: their record, and what it says over seeds."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from covlaw.records.ladder import Array, array
from covlaw.records.parsing import read_json
from covlaw.records.schema.files import WHOLE
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.bootstrap import Interval, bootstrap_mean
from covlaw.theory.estimators.calibration import Slope, calibration_slope

FILE = "real.json"
SEED = 7
"""Of the resampling."""
PLAIN, GUARDED = "linear", "guarded"
Record = dict[str, Any]


def real_record(folder: Path) -> Record:
    """Read a folder's real.json.

    Raises:
        CovlawError: if there is none, it holds no run, or it cannot be read.
    """
    try:
        found = read_json(folder / FILE, WHOLE[FILE])
    except FileNotFoundError as error:
        raise CovlawError(f"{folder} holds no {FILE}: `make real` writes it") from error
    if not found["runs"]:
        raise CovlawError(f"{folder / FILE} holds no run: record some first")
    return found


def methods(record: Record) -> list[str]:
    """Methods that the record has runs of, in its order."""
    return list(dict.fromkeys(run["method"] for run in record["runs"].values()))


def runs_of(record: Record, method: str, only: Sequence[int] | None = None) -> list[Record]:
    """A method's runs, by seed; of some seeds where they are given."""
    own = (run for run in record["runs"].values() if run["method"] == method)
    kept = (run for run in own if only is None or run["seed"] in only)
    return sorted(kept, key=lambda run: int(run["seed"]))


def seeds(record: Record, *wanted: str) -> list[int]:
    """Seeds that all of some methods have; of any method where none is named."""
    found = [{run["seed"] for run in runs_of(record, m)} for m in wanted or methods(record)]
    return sorted(set.intersection(*found) if wanted else set.union(*found))


def held_out_change(
    record: Record, method: str, only: Sequence[int] | None = None
) -> list[Interval]:
    """Each objective's change from the base on held-out prompts, over a method's seeds, or some.

    The mean over seeds of each prompt's change, with a 95 % bootstrap interval over prompts: it
    says how far other prompts could have moved it, of these seeds, not of other ones.
    """
    base = array(record["base"]["by_prompt"])
    return _over_prompts([array(r["by_prompt"]) - base for r in runs_of(record, method, only)])


def difference(record: Record, first: str = PLAIN, second: str = GUARDED) -> list[Interval]:
    """The second method's held-out rewards minus the first's, seed by seed and prompt by prompt.

    Over the seeds that both have; [] where there is none.
    """
    common = seeds(record, first, second)
    pairs = zip(*(runs_of(record, method, common) for method in (first, second)), strict=True)
    found = [array(b["by_prompt"]) - array(a["by_prompt"]) for a, b in pairs]
    return _over_prompts(found) if found else []


def audits(record: Record) -> Iterator[tuple[Record, Record]]:
    """(run, audit) of every audit."""
    for run in record["runs"].values():
        for audit in run["audits"]:
            yield run, audit


def measured_slope(record: Record, *, first: bool) -> Slope:
    """What audits measured on what their exact form said, errors in both: 1 where they agree.

    Of each run's first step, or of its later audited ones. Runs of one seed are audited at a step
    on the same prompts with the same random numbers, so that their audits are one cluster of the
    jackknife, whatever the method.
    """
    columns: list[list[Any]] = [[], [], [], [], [], []]
    clusters: dict[tuple[int, int], int] = {}
    for run, audit in audits(record):
        if (audit["step"] == 0) == first:
            said, did = audit["exact_change"], audit["measured"]
            none = [0.0] * len(did["estimate"])
            cluster = clusters.setdefault((run["seed"], audit["step"]), len(clusters))
            points = (said["estimate"], did["estimate"], said["se"], did["se"],
                      [cluster] * len(none), said.get("correlation") or none)  # fmt: skip
            for column, values in zip(columns, points, strict=True):
                column += values
    x, y, x_error, y_error, cluster_of, correlation = map(np.array, columns)
    return calibration_slope(x, y, x_error, y_error, cluster_of, correlation)


def _over_prompts(changes: list[Array]) -> list[Interval]:
    mean = np.mean(changes, 0)
    return [bootstrap_mean(column[np.isfinite(column)], SEED) for column in mean.T]
