"""Reading a run's plain files (DESIGN, Records); JSON null becomes NaN."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covlaw.theory._numerics.errors import CovlawError

Array = NDArray[np.float64]
RAW = frozenset({"law", "clipped", "clipped_centred"})
"""Predictions recorded as reward × signal; times their `scale` they are changes."""


@dataclass(frozen=True, eq=False)
class LlmRun:
    """One recorded RL run.

    Args:
        name: Folder name.
        steps: Its lines in steps.jsonl, at least one.
    """

    name: str
    steps: list[dict[str, Any]]

    @property
    def scalarizer(self) -> str:
        """Name of the algorithm that merged the rewards."""
        return str(self.steps[0]["scalarizer"])

    @property
    def seed(self) -> int:
        """Seed of the RL run."""
        return int(self.steps[0]["seed"])

    @property
    def objectives(self) -> list[str]:
        """The M objective names."""
        return [str(name) for name in self.steps[0]["objectives"]]

    def column(self, field: str) -> Array:
        """One field over the steps: (T,) or (T, M)."""
        return array([step[field] for step in self.steps])


class Audit(NamedTuple):
    """One recorded audit and where it was made."""

    run: LlmRun
    step: int
    record: dict[str, Any]

    def change(self, prediction: str) -> tuple[Array, Array]:
        """`(estimate (M,), standard error (M,))` of a prediction, in units of reward change."""
        found = self.record[prediction]
        one = self.record.get("scale")  # of all laws, in older audits
        scale = array(found.get("scale", one)) if prediction in RAW else np.ones(())
        estimate, error = (array(found[key]) for key in ("estimate", "se"))
        return scale * estimate, np.abs(scale) * error


def llm_runs(folder: Path) -> list[LlmRun]:
    """Every RL run in a ladder folder, or the one that `folder` itself is; ordered by name."""
    files = [folder / "steps.jsonl", *sorted(folder.glob("llm/*/steps.jsonl"))]
    read = [(file.parent.name, json_lines(file)) for file in files if file.is_file()]
    return [LlmRun(name, steps) for name, steps in read if steps]


def audits(runs: list[LlmRun], sample: str = "independent") -> list[Audit]:
    """Every audit of the runs made on the given sample."""
    return [
        Audit(run, int(step["step"]), record)
        for run in runs
        for step in run.steps
        for record in step["audits"]
        if record["sample"] == sample
    ]


def verdict_file(folder: Path) -> dict[str, Any]:
    """Read verdicts.json of a ladder folder.

    Raises:
        CovlawError: if there is none.
    """
    path = folder / "verdicts.json"
    if not path.is_file():
        raise CovlawError(f"{folder} holds no verdicts.json: run `covlaw ladder --out {folder}`")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records of a JSONL file; [] where there is none; a line cut by a kill ends it."""
    if not path.is_file():
        return []
    records: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


def config_seed(folder: Path) -> int | None:
    """Seed that a run was given; None where its folder holds no config."""
    path = folder / "config.toml"
    found = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return int(found["seed"]) if "seed" in found else None


def of_kind(records: list[dict[str, Any]], kind: str, **fields: Any) -> list[dict[str, Any]]:
    """Those of a measurement's records that are of one kind and have the given fields."""
    wanted = {"kind": kind} | fields
    return [r for r in records if wanted.items() <= {k: r.get(k) for k in wanted}.items()]


def array(values: Any) -> Array:
    """float64 array of nested JSON lists, NaN for null."""
    return np.asarray(values, dtype=np.float64)
