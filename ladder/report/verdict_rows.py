"""The rows of the report's one table: every verdict, with what it is sorted and filtered by."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from covlaw.ladder.statement_index import HEADINGS
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.registry import MODULE_OF


class Row(NamedTuple):
    """One verdict and the statement it is of."""

    verdict: dict[str, Any]
    title: str
    part: str
    """Folder of the statement; "" for one that this version does not know."""


def verdict_rows(verdicts: list[dict[str, Any]]) -> Iterator[Row]:
    """Yield the verdicts that compared something, in the order of the record."""
    for verdict in verdicts:
        if verdict["n"]:
            id = verdict["id"]
            known = id in STATEMENTS
            yield Row(verdict, STATEMENTS[id].title if known else "", part_of(id) if known else "")


def part_of(id: str) -> str:
    """Folder of a statement."""
    return MODULE_OF[id].split(".")[-2]


def parts(rows: list[Row]) -> dict[str, str]:
    """Folder → heading, of the parts that have a row."""
    present = {row.part for row in rows}
    return {part: heading for part, heading in HEADINGS.items() if part in present}
