"""`read_log`: rollouts of any run, whoever wrote them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from covlaw.plugins.logs.collect import Collector
from covlaw.plugins.logs.columns import Asked, Columns, find_columns
from covlaw.plugins.logs.formats.commas import comma_separated
from covlaw.plugins.logs.formats.lines import json_array, json_lines
from covlaw.plugins.logs.formats.objects import from_memory
from covlaw.plugins.logs.formats.own_run import own_run
from covlaw.plugins.logs.formats.parquet import MAGIC, parquet
from covlaw.plugins.logs.formats.table import Table
from covlaw.plugins.logs.log import Log
from covlaw.records.runs import ROLLOUTS, SAMPLES
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.validation import check_names

ENDINGS = (*ROLLOUTS, ".json")


def read_log(
    paths: Any,
    format: str = "auto",
    *,
    rewards: Sequence[str] = (),
    group: str | None = None,
    step: str | None = None,
    advantage: str | None = None,
) -> Log:
    """Read the rollouts of a run: files of TRL, verl or covlaw, tables, or objects in memory.

    Args:
        paths: A path, glob or folder, several of them, or an fsspec address (with fsspec); or a
            data frame, a `datasets.Dataset`, a dict of columns, a list of dicts.
        format: "auto", or what the columns are named by: "trl" (`log_completions`), "verl"
            (`trainer.rollout_data_dir`), "covlaw" (a run's folder), "table".
        rewards: Columns that are rewards; none: all numbers that have no other name.
        group: Column that completions of one prompt share; none: uid, group or prompt.
        step: Column of the training step.
        advantage: Column of the advantage that was trained on.

    Raises:
        CovlawError: naming file, row, column and remedy: nothing there, no rewards, values that
            are no numbers, infinite ones, files of different columns, steps without groups.
    """
    asked = Asked(format, tuple(rewards), group, step, advantage)
    collector: Collector | None = None
    first: Columns | None = None
    notes: list[str] = []
    empty: list[str] = []
    for table in tables(paths):
        if not table.head:
            empty.append(table.place)
            continue
        columns = find_columns(table, asked)
        if collector is None or first is None:
            first, collector = columns, Collector(columns)
            check_names(columns.rewards)
        columns = _as_first(table, columns, first)
        collector.add(table, columns)
        notes += [*columns.notes, *table.notes]
    if collector is None:
        what = ", ".join(empty) if empty else "what was given"
        raise CovlawError(f"{what} holds no rows: give a log with completions")
    notes += [f"{place} holds no rows" for place in empty]
    return collector.log(notes)


def _as_first(table: Table, columns: Columns, first: Columns) -> Columns:
    """Columns of a further file, under the names of the first.

    Raises:
        CovlawError: where one is missing.
    """
    missing = [n for n in first.wanted if n not in columns.wanted and n not in table.head]
    if missing and not first.nested:
        raise CovlawError(
            f"{table.place} has no column {missing[0]!r}, which the files before it have: read "
            "them apart, or name the rewards that all have (--rewards)"
        )
    return first._replace(notes=columns.notes)


def tables(paths: Any) -> Iterator[Table]:
    """Open what was given, file after file."""
    if isinstance(paths, str | Path):
        paths = [paths]
    if not isinstance(paths, list | tuple) or not all(isinstance(p, str | Path) for p in paths):
        yield from_memory(paths)
        return
    if not paths:
        raise CovlawError("no log given: name a file, a folder or a pattern")
    for path in paths:
        for file in _files(str(path)):
            yield _open(file)


def _files(path: str) -> list[Path]:
    """Files behind a path, a pattern, a folder or an address, by name with numbers in order."""
    if "://" in path:
        return _fetched(path)
    place = Path(path).expanduser()
    if place.is_dir():
        if (place / SAMPLES).is_file():
            return [place]
        found = [f for f in place.rglob("*") if f.suffix in ENDINGS and f.is_file()]
    elif place.exists():
        return [place]
    else:
        found = [f for f in _matches(place) if f.is_file()]
    if not found:
        raise CovlawError(
            f"nothing at {path}: give a file ({', '.join(ENDINGS)}), a folder of them, or a pattern"
        )
    return sorted(found, key=_natural)


def _matches(pattern: Path) -> list[Path]:
    """Files that a pattern names; none where it is a plain path."""
    parts = pattern.parts
    fixed = next((k for k, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    if fixed == len(parts):
        return []
    return list(Path(*parts[:fixed]).glob(str(Path(*parts[fixed:]))))


def _fetched(address: str) -> list[Path]:
    try:
        import fsspec
    except ImportError as error:
        raise CovlawError(f"{address}: addresses need fsspec: pip install fsspec") from error
    try:
        files = fsspec.open_local(f"simplecache::{address}", mode="rb")
    except Exception as error:
        raise CovlawError(f"cannot read {address} ({error}): check it, or copy the file") from error
    return [Path(f) for f in ([files] if isinstance(files, str) else files)]


def _natural(path: Path) -> tuple[Any, ...]:
    stem = path.stem
    return (str(path.parent), (0, int(stem), "") if stem.isdigit() else (1, 0, stem))


def _open(path: Path) -> Table:
    """Open a file by its first bytes and its ending.

    Raises:
        CovlawError: where it cannot be read, or is none of the known kinds.
    """
    if path.is_dir() or path.name == SAMPLES:
        return own_run(path if path.is_dir() else path.parent)
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise CovlawError(f"cannot read {path}: {error.strerror or error}") from error
    if start[:4] == MAGIC:
        return parquet(path)
    if not start:
        return Table(str(path), "empty", {}, lambda _: iter(()))
    first = start.lstrip()[:1]
    if path.suffix in {".csv", ".tsv"}:
        return comma_separated(path)
    if first == b"[":
        return json_array(path)
    if first == b"{":
        whole = path.suffix == ".json" and b"}" not in start.split(b"\n", 1)[0]
        return json_array(path) if whole else json_lines(path)
    if path.suffix == ".parquet":
        raise CovlawError(f"{path} is no Parquet file, or was cut short: write it again")
    if path.suffix in {".jsonl", ".ndjson", ".json"}:
        raise CovlawError(f"{path} holds no JSON: check that it is a rollout log")
    raise CovlawError(
        f"{path} is no rollout log that covlaw knows: give Parquet, JSONL, JSON or CSV with a row "
        "a completion"
    )
