"""A run's folder: plain files, written so that a kill at any moment loses nothing recorded."""

import json
import math
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from covlaw.llm.environment import describe
from covlaw.theory.errors import CovlawError

CONFIG, STEPS, TIMING = "config.toml", "steps.jsonl", "timing.jsonl"

LAWS = ("law", "clipped", "clipped_centred")
"""An audit's forecasts by a covariance with the signal: in its units, times `scale` changes."""


class AnotherRunError(CovlawError):
    """The folder holds a run of other settings."""


def open_run(folder: Path, config: dict[str, Any]) -> None:
    """Create a run's folder, or accept one that holds the same run.

    Raises:
        CovlawError: if the folder holds another run or other files, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        entries = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        if CONFIG in entries:
            _require_same(folder, config)
        elif entries:
            raise CovlawError(f"{folder} holds other files ({min(entries)}): choose another folder")
        else:
            start_run(folder, config)
    except OSError as error:
        raise CovlawError(f"cannot write to {folder}: {error.strerror or error}") from error


def start_run(folder: Path, config: dict[str, Any]) -> None:
    """Write what a run is and what it runs on."""
    write_text(folder / "environment.json", to_json(describe(), indent=1) + "\n")
    write_text(folder / CONFIG, tomli_w.dumps(config))


def read_config(folder: Path) -> dict[str, Any]:
    """Read a run's config.toml.

    Raises:
        CovlawError: if the folder holds no run, or its config is not TOML.
    """
    try:
        return tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CovlawError(f"{folder} holds no run: it has no {CONFIG}") from error
    except tomllib.TOMLDecodeError as error:
        raise CovlawError(f"{folder / CONFIG} is not valid TOML ({error})") from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line and flush it to the operating system."""
    with path.open("a", encoding="utf-8") as file:
        file.write(to_json(record) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSONL file; a line cut by a kill ends it."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:  # a kill can cut a character in two
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def cut_back(path: Path, step: int) -> None:
    """Keep only the records of steps before `step` (on resume)."""
    if path.exists():
        kept = [to_json(record) + "\n" for record in read_lines(path) if record["step"] < step]
        write_text(path, "".join(kept))


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON with null for NaN and infinities, sorted as given."""
    return json.dumps(_finite(value), allow_nan=False, ensure_ascii=False, indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _require_same(folder: Path, config: dict[str, Any]) -> None:
    found = read_config(folder)
    wanted = tomllib.loads(tomli_w.dumps(config))
    different = sorted(k for k in found.keys() | wanted if found.get(k) != wanted.get(k))
    if different:
        key = different[0]
        raise AnotherRunError(
            f"{folder} holds another run: {key} is {found.get(key)!r} there, "
            f"{wanted.get(key)!r} here; choose another folder or remove that one"
        )
