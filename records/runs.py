"""A run's folder: plain files, written so that a kill at any moment loses nothing recorded."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from covlaw.records.environment import describe
from covlaw.records.files import append_line, to_json, write_text, writing_to
from covlaw.records.lines import cut_back, read_lines, recorded_steps
from covlaw.records.parsing import read_json, read_toml
from covlaw.records.schema.files import WHOLE
from covlaw.theory._numerics.errors import CovlawError

__all__ = [
    "BY_STEP",
    "CONFIG",
    "ENVIRONMENT",
    "EVALUATIONS",
    "SAMPLES",
    "STEPS",
    "TIMING",
    "AnotherRunError",
    "append_line",
    "cut_back",
    "holds_run",
    "open_run",
    "read_config",
    "read_lines",
    "recorded_inputs",
    "recorded_steps",
    "start_run",
    "to_json",
    "write_text",
    "writing_to",
]

CONFIG, STEPS, TIMING = "config.toml", "steps.jsonl", "timing.jsonl"
EVALUATIONS, ENVIRONMENT = "evaluations.jsonl", "environment.json"
SAMPLES = "samples.jsonl"
BY_STEP = (STEPS, TIMING, EVALUATIONS, SAMPLES)
"""Files of a line a step, cut back when a run is resumed."""


class AnotherRunError(CovlawError):
    """The folder holds a run of other settings."""


Completed = Callable[[dict[str, Any]], dict[str, Any]]
"""Brings a recorded config up to date: settings that are younger than the run, at their default."""


def open_run(folder: Path, config: dict[str, Any], completed: Completed = dict) -> None:
    """Create a run's folder, or accept one that holds the same run.

    Raises:
        CovlawError: if the folder holds another run or other files, or cannot be written.
    """
    if not holds_run(folder, config, completed):
        start_run(folder, config)


def holds_run(folder: Path, config: dict[str, Any], completed: Completed = dict) -> bool:
    """Whether a folder holds this run; it is created, and otherwise left alone, if it does not.

    Raises:
        CovlawError: if it holds another run or other files, or cannot be written.
    """
    if folder.is_file():
        raise CovlawError(f"{folder} is a file: name a folder for the run")
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        entries = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if CONFIG in entries:
        _require_same(folder, config, completed)
    elif entries - {ENVIRONMENT}:  # it is there alone where a kill came before the config
        raise CovlawError(f"{folder} holds other files ({min(entries)}): choose another folder")
    return CONFIG in entries


def start_run(
    folder: Path,
    config: dict[str, Any],
    device: str = "cpu",
    processes: int = 1,
    inputs: Mapping[str, str] | None = None,
) -> None:
    """Write what a run is, what it runs on, and the digests of its `inputs` by what they are.

    Raises:
        CovlawError: if the folder cannot be written.
    """
    with writing_to(folder):
        environment = describe(device) | {"processes": processes}
        environment |= {"inputs": dict(inputs)} if inputs else {}
        write_text(folder / ENVIRONMENT, to_json(environment, indent=1) + "\n")
        write_text(folder / CONFIG, tomli_w.dumps(config))


def recorded_inputs(folder: Path) -> dict[str, str]:
    """Digests of what a run read when it began; {} where none are recorded, as in older runs.

    Raises:
        CovlawError: if environment.json is damaged.
    """
    try:
        found = read_json(folder / ENVIRONMENT, WHOLE[ENVIRONMENT])
    except FileNotFoundError:
        return {}
    return dict(found.get("inputs", {}))


ROLLOUTS = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv")
"""Endings of files that may hold somebody's rollouts; .json may too, and is our runs' own."""


def read_config(folder: Path) -> dict[str, Any]:
    """Read a run's config.toml.

    Raises:
        CovlawError: if the folder holds no run, or is a file, or its config is not TOML, or not
            one of ours.
    """
    if folder.is_file():
        log = folder.suffix in ROLLOUTS
        hint = f"; rollouts of any trainer reads `covlaw inspect {folder}`" if log else ""
        raise CovlawError(
            f"{folder} is a file: name the folder of a run, the one with {CONFIG}{hint}"
        )
    try:
        return read_toml(folder / CONFIG, WHOLE[CONFIG])
    except FileNotFoundError as error:
        raise CovlawError(f"{folder} holds no run: it has no {CONFIG}") from error


def _require_same(folder: Path, config: dict[str, Any], completed: Completed) -> None:
    found, wanted = (
        tomllib.loads(tomli_w.dumps(c)) for c in (completed(read_config(folder)), config)
    )
    different = sorted(k for k in found.keys() | wanted if found.get(k) != wanted.get(k))
    if different:
        key = different[0]
        raise AnotherRunError(
            f"{folder} holds another run: {key} is {found.get(key)!r} there, "
            f"{wanted.get(key)!r} here; choose another folder or remove that one"
        )
