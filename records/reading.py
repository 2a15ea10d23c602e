"""A folder that a page is about: what is recorded in it, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covlaw.records.ladder import LlmRun, llm_runs, verdict_file
from covlaw.records.lines import read_records
from covlaw.records.parsing import read_json
from covlaw.records.runs import CONFIG, ENVIRONMENT, SAMPLES, read_config
from covlaw.records.schema.files import WHOLE
from covlaw.records.study import SUMMARY, study_summary
from covlaw.theory._numerics.errors import CovlawError

DEPTH = 4
"""Folders within folders that are looked through."""
NO_VERDICTS: dict[str, Any] = {"verdicts": [], "omitted": []}


@dataclass(frozen=True, eq=False)
class Recorded:
    """A ladder, a study or one LLM run."""

    folder: Path
    name: str
    """Shown; unique among those on a page."""
    config: dict[str, Any]
    environment: dict[str, Any]
    runs: list[LlmRun]
    verdicts: dict[str, Any]
    """verdicts.json; without any where there is none."""
    study: dict[str, Any]
    """summary.json; {} where there is none."""

    @property
    def kind(self) -> str:
        """What it is: "ladder", "study" or "LLM run"."""
        if self.verdicts["verdicts"]:
            return "ladder"
        return "study" if self.study else "LLM run"

    def samples(self, run: LlmRun) -> list[dict[str, Any]]:
        """Lines of samples.jsonl of one of its runs; [] where none are recorded."""
        return read_records(self.folder_of(run) / SAMPLES)

    def folder_of(self, run: LlmRun) -> Path:
        """Where one of its runs is kept."""
        own = self.folder / "llm" / run.name
        return own if own.is_dir() else self.folder


def read(folder: Path, name: str = "") -> Recorded:
    """Read a folder.

    Raises:
        CovlawError: if it holds no ladder, LLM run or study, or nothing of it yet.
    """
    config, runs = read_config(folder), llm_runs(folder)
    verdicts = verdict_file(folder) if (folder / "verdicts.json").exists() else NO_VERDICTS
    study = study_summary(folder) if (folder / SUMMARY).exists() else {}
    if not (verdicts is not NO_VERDICTS or runs or study):
        raise CovlawError(f"{folder} holds nothing to report yet: let its run finish a step")
    name = name or folder.resolve().name
    return Recorded(folder, name, config, _environment(folder), runs, verdicts, study)


def holds_something(folder: Path) -> bool:
    """Whether there is something to report on: a step of a run, verdicts, or a study's summary."""
    files = ("verdicts.json", SUMMARY)
    return any((folder / name).is_file() for name in files) or bool(llm_runs(folder))


def below(folder: Path, depth: int = DEPTH) -> list[Path]:
    """Folders with a run, a ladder or a study below a project's, in order; none within another."""
    if depth == 0 or not folder.is_dir():
        return []
    found: list[Path] = []
    for own in sorted(path for path in folder.iterdir() if path.is_dir()):
        if own.name.startswith(".") or own.is_symlink():
            continue
        found += [own] if (own / CONFIG).is_file() else below(own, depth - 1)
    return found


def read_all(folders: Sequence[Path]) -> list[Recorded]:
    """Read several, under the shortest names that tell them apart.

    Raises:
        CovlawError: if one holds nothing to report, or is named twice.
    """
    places = [folder.resolve() for folder in folders]
    for place in places:
        if places.count(place) > 1:
            raise CovlawError(f"{place} is named twice: compare different folders")
    return [read(folder, name) for folder, name in zip(folders, _names(places), strict=True)]


def _names(places: Sequence[Path]) -> list[str]:
    longest = max(len(place.parts) for place in places)
    for length in range(1, longest + 1):
        names = ["/".join(place.parts[-length:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _environment(folder: Path) -> dict[str, Any]:
    path = folder / ENVIRONMENT
    return read_json(path, WHOLE[ENVIRONMENT]) if path.exists() else {}
