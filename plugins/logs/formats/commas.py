"""CSV and TSV: every cell is text until its column is known to be numbers."""

import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from covlaw.plugins.logs.formats.table import ROWS, Block, Table
from covlaw.theory._numerics.errors import CovlawError

HEAD = 256
MISSING = {"", "na", "nan", "n/a", "none", "null", "<na>"}


def comma_separated(path: Path) -> Table:
    """Open a CSV file (or one with tabs or semicolons) with a line of names.

    Raises:
        CovlawError: where it cannot be read, or a row has more cells than names.
    """
    names, rows = _rows(path)
    head = list(islice(rows, HEAD))
    numeric = {
        name
        for k, name in enumerate(names)
        if all(_is_number(row[k]) for row in head) and any(row[k] for row in head)
    }

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        _, every = _rows(path)
        while part := list(islice(every, ROWS)):
            yield {name: _cells(part, names.index(name), name in numeric) for name in wanted}

    columns = {n: _cells(head, k, n in numeric) for k, n in enumerate(names)} if head else {}
    return Table(str(path), "csv", columns, blocks)


def _rows(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))

    def read() -> Iterator[list[str]]:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                mark = max(",\t;", key=first.count)
                for number, row in enumerate(csv.reader(file, delimiter=mark), 1):
                    if row:
                        yield [str(number), *row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CovlawError(f"{path} is no readable CSV ({error}): save it as UTF-8") from error

    lines = read()
    names = next(lines, ["1"])[1:]

    def checked() -> Iterator[list[str]]:
        for number, *row in lines:
            if len(row) != len(names):
                raise CovlawError(
                    f"{path}, row {number}: {len(row)} cells for {len(names)} columns; quote cells "
                    "that hold separators, or let the run finish its last row"
                )
            yield row

    return names, checked()


def _cells(rows: Sequence[Sequence[str]], k: int, numeric: bool) -> list[object]:
    if not numeric:
        return [row[k] for row in rows]
    return [_number(row[k]) for row in rows]


def _number(cell: str) -> object:
    """The number in a cell, None where it is empty; text that is none stays, to be named."""
    if cell.strip().lower() in MISSING:
        return None
    if cell.strip().lower() in {"true", "false"}:
        return cell.strip().lower() == "true"
    try:
        return int(cell) if cell.strip().lstrip("+-").isdigit() else float(cell)
    except ValueError:
        return cell


def _is_number(cell: str) -> bool:
    return not isinstance(_number(cell), str)
