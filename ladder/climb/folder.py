"""A ladder's folder: verdicts are appended as checks finish, measurements written whole."""

import shutil
from pathlib import Path
from typing import Any

from covlaw import __version__
from covlaw.ladder.climb.plan import Settings, order_of
from covlaw.records.resumable_folder import ResumableFolder
from covlaw.records.runs import CONFIG, to_json, write_text
from covlaw.records.schema.versions import RUN
from covlaw.toys.measurements import MEASUREMENTS

RUNS = {"llm": "LLM", "pretrained": "pretrained model's"}
"""Rungs of recorded runs, each with a folder of its own for them, and what they are in words."""


class LadderFolder(ResumableFolder):
    """The files of one ladder (arguments and errors as `ResumableFolder`)."""

    kind, rows = "ladder", "verdicts.jsonl"
    ours = (
        "config.toml",
        "environment.json",
        "verdicts.json",
        *(f"{name}.jsonl" for name in MEASUREMENTS),
        "report.html",
    )

    def __init__(self, path: Path, settings: Settings, fresh: bool = False) -> None:
        self.settings = settings
        super().__init__(path, settings.to_dict(), fresh)

    def clear(self) -> None:
        """Remove an earlier ladder, its LLM runs included."""
        super().clear()
        for rung in RUNS:
            for run in (self.path / rung).glob("*"):
                if (run / CONFIG).exists():
                    shutil.rmtree(run)

    def finished(self) -> dict[str, dict[str, Any]]:
        """Verdicts recorded so far, by job name."""
        return {f"{v['id']} {v['rung']}": v for v in self.recorded()}

    def add(self, verdict: dict[str, Any]) -> None:
        """Record one verdict."""
        self.append(verdict)

    def has_records(self, name: str) -> bool:
        """Whether some measurements ("budgets", "geometry") are recorded."""
        return (self.path / f"{name}.jsonl").exists()

    def write_records(self, name: str, records: list[dict[str, Any]]) -> None:
        """Record measurements."""
        self.write_lines(f"{name}.jsonl", records)

    def write_verdicts(self, verdicts: list[dict[str, Any]]) -> None:
        """Write verdicts.json: the same settings give the same bytes."""
        record = {
            "schema": RUN,
            "covlaw": __version__,
            "seed": self.settings.seed,
            "quick": self.settings.quick,
            "omitted": self.settings.omitted,
            "verdicts": sorted(verdicts, key=order_of),
        }
        write_text(self.path / "verdicts.json", to_json(record, indent=1) + "\n")
