"""Reading a run's plain files (DESIGN, Records); JSON null becomes NaN."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covlaw.records.constants import CLEAR, LAWS
from covlaw.records.ends import Ends, run_ends
from covlaw.records.lines import ASIDE, read_records
from covlaw.records.parsing import read_json
from covlaw.records.runs import CONFIG, STEPS, read_config
from covlaw.records.schema.files import WHOLE
from covlaw.theory._numerics.errors import CovlawError

Array = NDArray[np.float64]
GUARDED = ", guarded"
"""Behind the algorithm of guarded runs."""


@dataclass(frozen=True, eq=False)
class LlmRun:
    """One recorded RL run.

    Args:
        name: Folder name.
        steps: Its lines in steps.jsonl, at least one.
        config: Its settings, as far as they are known.
    """

    name: str
    steps: list[dict[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)

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

    @property
    def guarded(self) -> bool:
        """Whether its steps were guarded."""
        return bool(self.steps[0].get("guard"))

    @property
    def method(self) -> str:
        """What steered it: its algorithm, and whether under the guard."""
        return self.scalarizer + GUARDED * self.guarded

    def column(self, name: str) -> Array:
        """One field over the steps: (T,) or (T, M)."""
        return array([step[name] for step in self.steps])

    @property
    def length(self) -> int:
        """Steps from the first to the last that is recorded."""
        return int(self.steps[-1]["step"]) + 1

    def by_step(self, name: str) -> Array:
        """One field (T, M) of every step; NaN where a line is missing."""
        found = np.full((self.length, len(self.objectives)), np.nan)
        found[[int(step["step"]) for step in self.steps]] = self.column(name)
        return found

    @cached_property
    def ends(self) -> Ends:
        """How it began and ended; the worst rewards are those of its settings (`reward_worst`)."""
        worst = array(self.config.get("reward_worst", 0.0))
        if worst.shape not in ((), (1,), (len(self.objectives),)):
            raise CovlawError(
                f"run {self.name}: reward_worst has {worst.size} entries for "
                f"{len(self.objectives)} objectives: mend its config.toml"
            )
        return run_ends(self.column("reward_mean"), self.column("reward_se"), worst)


class Audit(NamedTuple):
    """One recorded audit and where it was made."""

    run: LlmRun
    step: int
    record: dict[str, Any]

    def change(self, prediction: str) -> tuple[Array, Array]:
        """`(estimate (M,), standard error (M,))` of a prediction, in units of reward change."""
        found, scale = self.record[prediction], 1.0
        if prediction in LAWS:
            one = self.record.get("scale")  # of all laws, in older audits
            scale = found.get("scale", one) or np.nan  # no signal that varies: nothing is forecast
        estimate, error = (array(found[key]) for key in ("estimate", "se"))
        if (
            "low" in found
        ):  # an error of 0 means that no pair of completions differed, not certainty
            half = (array(found["high"]) - array(found["low"])) / 2
            error = np.where(error > 0, error, half / CLEAR)
        return scale * estimate, np.abs(scale) * error

    def correlation(self, prediction: str) -> Array:
        """(M,) of the errors of a prediction and of the measured change; 0 in older audits."""
        found = self.record[prediction]
        known = found.get("correlation") or [0.0] * len(self.record["measured"]["estimate"])
        sign = np.sign(found.get("scale") or 1.0) if prediction in LAWS else 1.0
        return np.nan_to_num(sign * array(known))


def llm_runs(folder: Path) -> list[LlmRun]:
    """Every RL run in a ladder folder, or the one that `folder` itself is; ordered by name."""
    folder = folder.resolve()
    folders = [folder, *(file.parent for file in sorted(folder.glob(f"llm/*/{STEPS}")))]
    return [run for own in folders if (run := _unchanged(own, *_stamps(own)))]


def llm_run(folder: Path) -> LlmRun | None:
    """The RL run whose own folder this is; None where no step is recorded."""
    steps = read_records(folder / STEPS)
    return LlmRun(folder.name, steps, _config(folder)) if steps else None


@lru_cache(maxsize=16)
def _unchanged(folder: Path, *_: tuple[int, int] | None) -> LlmRun | None:
    """The run as it was read before: a page asks for each figure again."""
    return llm_run(folder)


def _stamps(folder: Path) -> Iterator[tuple[int, int] | None]:
    """When the files that a run is read from last changed, and their sizes."""
    for name in (STEPS, CONFIG, STEPS + ASIDE):
        try:
            found = (folder / name).stat()
        except OSError:
            yield None
        else:
            yield found.st_mtime_ns, found.st_size


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
    try:
        return read_json(path, WHOLE[path.name])
    except FileNotFoundError as error:
        raise CovlawError(
            f"{folder} holds no verdicts.json: run `covlaw ladder --out {folder}`"
        ) from error


def config_seed(folder: Path) -> int | None:
    """Seed that a run was given; None where its folder holds no config."""
    found = _config(folder)
    return int(found["seed"]) if "seed" in found else None


def _config(folder: Path) -> dict[str, Any]:
    return read_config(folder) if (folder / CONFIG).exists() else {}


def array(values: Any) -> Array:
    """float64 array of nested JSON lists, NaN for null."""
    return np.asarray(values, dtype=np.float64)
