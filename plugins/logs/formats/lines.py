"""JSON: an object a line, or one array of objects."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from covlaw.plugins.logs.formats.table import ROWS, Block, Table
from covlaw.records.parsing import UnreadableError, parse_object
from covlaw.theory._numerics.errors import CovlawError

HEAD = 256
"""Rows by which the columns are told apart."""


def json_lines(path: Path) -> Table:
    """Open a file of an object a line; a last line that is still being written is left out."""
    notes: list[str] = []
    head = list(islice(_objects(path, []), HEAD))

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        rows = _objects(path, notes)
        while part := list(islice(rows, ROWS)):
            yield columns_of(part, wanted)

    return Table(str(path), "jsonl", columns_of(head, names_of(head)), blocks, notes)


def json_array(path: Path) -> Table:
    """Open a file that is one array of objects, or an object of columns.

    Raises:
        CovlawError: where it is neither.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CovlawError(
            f"{path} is not JSON ({error}): let its run finish, or mend it"
        ) from error
    if isinstance(found, dict) and found and all(isinstance(v, list) for v in found.values()):
        return of_columns(found, str(path), "json")
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise CovlawError(f"{path} holds no array of objects: give a row a completion")
    return of_rows(found, str(path), "json")


def of_rows(rows: Sequence[dict[str, Any]], place: str, kind: str) -> Table:
    """A table from a list of dicts."""

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        for start in range(0, len(rows), ROWS):
            yield columns_of(rows[start : start + ROWS], wanted)

    head = rows[:HEAD]
    return Table(place, kind, columns_of(head, names_of(head)), blocks)


def of_columns(columns: dict[str, Sequence[Any]], place: str, kind: str) -> Table:
    """A table from a dict of columns.

    Raises:
        CovlawError: where they are of unequal length.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise CovlawError(f"{place}: columns of unequal length {lengths}: give a row a completion")
    rows = next(iter(lengths.values()), 0)

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        for start in range(0, rows, ROWS):
            yield {n: columns[n][start : start + ROWS] for n in wanted if n in columns}

    return Table(place, kind, {n: v[:HEAD] for n, v in columns.items()} if rows else {}, blocks)


def columns_of(rows: Sequence[dict[str, Any]], wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Columns of these rows; None where a row has no such key."""
    return {name: [row.get(name) for row in rows] for name in wanted}


def names_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Keys of these rows, by first appearance."""
    return list(dict.fromkeys(chain.from_iterable(rows)))


def _objects(path: Path, notes: list[str]) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    yield from _rows_of(_object(line))
                except UnreadableError as error:
                    if not line.endswith(b"\n"):
                        said = f"{path}, line {number} is cut short and left out: still written?"
                        notes[:] = [said]
                        return
                    raise CovlawError(
                        f"{path}, line {number}: {error}; mend or remove the line"
                    ) from error
    except OSError as error:
        raise CovlawError(f"cannot read {path}: {error.strerror or error}") from error


def _rows_of(line: dict[str, Any]) -> list[dict[str, Any]]:
    """A line's rows: itself; or, as ms-swift writes them, a step's columns of equal length."""
    sizes = {len(value) if isinstance(value, list) else -1 for value in line.values()}
    if "step" not in line or len(sizes) != 1 or sizes == {-1}:
        return [line]
    return [dict(zip(line, row, strict=True)) for row in zip(*line.values(), strict=True)]


def _object(line: bytes) -> dict[str, Any]:
    """As `parse_object`, but NaN, which other tools write, is a number."""
    try:
        return parse_object(line)
    except UnreadableError:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableError("not JSON") from error
        if not isinstance(found, dict):
            raise UnreadableError(f"no object but {ascii(found)[:20]}") from None
        return found
