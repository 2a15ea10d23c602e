"""The verdict matrix, statement × rung, and the line beneath it."""

from collections import Counter
from textwrap import shorten
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from covlaw.theory.statements import STATEMENTS


class Mark(NamedTuple):
    """How a status looks: never by colour alone."""

    symbol: str
    style: str
    word: str


MARKS = {
    "holds": Mark("✓", "green", "holds"),
    "refuted": Mark("✗", "bold red", "refuted"),
    "inconclusive": Mark("?", "yellow", "inconclusive"),
    "not_applicable": Mark("·", "dim", "not applicable"),
}


def matrix(verdicts: dict[str, dict[str, Any]], rungs: tuple[str, ...], width: int) -> Table:
    """Build a table with a row a statement and a column a rung, `width` characters wide."""
    room = max(16, width - 6 - sum(len(rung) + 2 for rung in rungs))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True, min_width=3)
    table.add_column("statement", no_wrap=True, max_width=room)
    for rung in rungs:
        table.add_column(rung, justify="center", no_wrap=True, min_width=len(rung))
    for id, statement in STATEMENTS.items():
        cells = [_cell(verdicts.get(f"{id} {rung}")) for rung in rungs]
        table.add_row(id, shorten(statement.title, room, placeholder="…"), *cells)
    return table


def totals(verdicts: dict[str, dict[str, Any]]) -> Text:
    """Count the verdicts by status."""
    counts = Counter(v["status"] for v in verdicts.values())
    line = Text()
    for status, mark in MARKS.items():
        if counts[status]:
            line.append(f"{mark.symbol} {counts[status]} {mark.word}   ", style=mark.style)
    return line


def by_rung(verdicts: dict[str, dict[str, Any]], rung: str) -> Counter[str]:
    """Count one rung's verdicts by status."""
    return Counter(v["status"] for v in verdicts.values() if v["rung"] == rung)


def _cell(verdict: dict[str, Any] | None) -> Text:
    if verdict is None:
        return Text("–", style="dim")
    mark = MARKS[verdict["status"]]
    return Text(mark.symbol, style=mark.style)
