"""Small results of the stages, with machine, versions and command: what is kept of them."""

import json
import shutil
from pathlib import Path
from typing import Any

from covlaw.ladder.gpu.scale import METHODS, Scale
from covlaw.ladder.gpu.stages import BASE, REAL, RUNS, THROUGHPUT, VERDICT
from covlaw.records import runs as records
from covlaw.records.environment import describe
from covlaw.records.files import writing_to
from covlaw.records.real import FILE
from covlaw.theory._numerics.errors import CovlawError

NO_GPU_RESULT = "the stages at tiny size on a CPU: this shows that they work, and measures nothing"


def write_record(scale: Scale, out: Path, to: Path, command: str, stages: dict[str, Any]) -> Path:
    """Copy what the stages made so far, without models, checkpoints and arrays.

    Eight files at most: about.json, base.json, verdict.json, throughput.json, real.json, and the
    steps of each run with their audits.

    Args:
        scale: Of the stages.
        out: Folder that they work in.
        to: Folder for the record.
        command: That was given.
        stages: What became of each.

    Raises:
        CovlawError: if the folder cannot be written.
    """
    with writing_to(to):
        to.mkdir(parents=True, exist_ok=True)
        for source, name in _sources(out):
            if source.exists():
                shutil.copyfile(source, to / name)
    about = {
        "command": command,
        "about": NO_GPU_RESULT if scale.tiny else "one GPU",
        "environment": describe(scale.device),
        "seconds": {method: _seconds(out / RUNS / method) for method in METHODS},
        "stages": stages,
    }
    with writing_to(to):
        records.write_text(to / "about.json", records.to_json(about, indent=1) + "\n")
    return to


def refuse_as_result(scale: Scale, to: Path) -> None:
    """Keep tiny results out of the recorded ones.

    Raises:
        CovlawError: if a tiny run were to be recorded among the figures' data.
    """
    if scale.tiny and {"figures", "data"} <= set(to.absolute().parts):
        raise CovlawError(f"{to} is for results of a GPU: {NO_GPU_RESULT}")


def read_stages(file: Path) -> dict[str, Any]:
    """Read what `note_stage` noted: by stage its status, seconds and commands in all, last word."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def note_stage(file: Path, name: str, seconds: float, status: str, word: str) -> None:
    """Add one command's work on a stage to what is known of it."""
    known = read_stages(file)
    before = known.get(name, {"seconds": 0.0, "commands": 0})
    known[name] = {
        "status": status,
        "seconds": round(before["seconds"] + seconds, 1),
        "commands": before["commands"] + 1,
        "word": word,
    }
    records.write_text(file, records.to_json(known, indent=1) + "\n")


def _sources(out: Path) -> list[tuple[Path, str]]:
    steps = [(out / RUNS / method / records.STEPS, f"{method}.jsonl") for method in METHODS]
    base = (out / BASE / "model" / "base.json", "base.json")
    real = (out / REAL / FILE, FILE)
    return [base, *steps, real, *((out / name, name) for name in (VERDICT, THROUGHPUT))]


def _seconds(run: Path) -> float:
    lines = records.read_lines(run / records.TIMING)
    return round(sum(float(line["seconds"]) for line in lines), 1)
