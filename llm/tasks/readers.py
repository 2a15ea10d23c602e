"""Rows with named columns from a file: JSONL, JSON arrays, CSV, Parquet and Arrow."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from covlaw.theory._numerics.errors import CovlawError

Row = dict[str, Any]


def read_jsonl(file: Path) -> list[Row]:
    """Read an object a line; lines end at a line feed, whatever else Unicode calls a line's end.

    Raises:
        CovlawError: naming the line that is none.
    """
    rows = []
    for number, line in enumerate(_text(file).split("\n"), 1):
        if line.strip():
            rows.append(_object(_parsed(line, f"{file}, line {number}"), f"{file}, line {number}"))
    return rows


def read_json(file: Path) -> list[Row]:
    """Read an array of objects; CovlawError names the entry that is none."""
    found = _parsed(_text(file), str(file))
    if not isinstance(found, list):
        raise CovlawError(f"{file} is no array of objects: give [{{…}}, {{…}}], or task 'jsonl'")
    return [_object(row, f"{file}, entry {k}") for k, row in enumerate(found)]


def read_csv(file: Path) -> list[Row]:
    """Read comma-separated values whose first line names the columns; all values are texts.

    Raises:
        CovlawError: for a row with more or fewer fields than columns, naming its line.
    """
    reader = csv.DictReader(io.StringIO(_text(file), newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise CovlawError(
                    f"{file}, line {reader.line_num}: a field for each of the "
                    f"{len(reader.fieldnames or ())} columns is needed"
                )
            rows.append(row)
    except csv.Error as error:
        raise CovlawError(f"{file}, line {reader.line_num} is not CSV: {error}") from error
    return rows


def read_parquet(file: Path) -> list[Row]:
    """Read the rows of a Parquet file; CovlawError if it is none."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return list(parquet.read_table(file).to_pylist())
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CovlawError(f"{file} is not a readable parquet file: {error}") from error


def read_arrow(file: Path) -> list[Row]:
    """Read an Arrow file or stream, as `datasets` saves them; CovlawError if it is none."""
    import pyarrow as pa

    for opened in (pa.ipc.open_stream, pa.ipc.open_file):
        try:
            with pa.memory_map(str(file)) as source, opened(source) as reader:
                return list(reader.read_all().to_pylist())
        except (OSError, ValueError, pa.ArrowException) as error:
            reason = error
    raise CovlawError(f"{file} is not a readable arrow file: {reason}") from reason


READERS: Mapping[str, Callable[[Path], list[Row]]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
    "arrow": read_arrow,
}
"""By the ending of a file's name, which is the task's name too."""


def _text(file: Path) -> str:
    """The file's text, without a byte order mark."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CovlawError(f"{file} is not a readable text file: {error}") from error


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise CovlawError(f"{place} is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits, too
        raise CovlawError(f"{place} is not JSON: {error}") from error


def _object(row: Any, place: str) -> Row:
    if not isinstance(row, dict):
        raise CovlawError(f"{place} is no object with named columns: {row!r:.200}")
    return row


def unpaired(value: str) -> Iterator[str]:
    """Surrogates without their partner: JSON can name them, no text holds them."""
    return (mark for mark in value if "\ud800" <= mark <= "\udfff")
