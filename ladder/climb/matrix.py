"""The verdict matrix, statement × rung, and the counts beneath it."""

from collections.abc import Iterable, Mapping
from textwrap import shorten
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from covlaw.records.outcomes import OUTCOMES, by_rung, outcome
from covlaw.theory.statements import STATEMENTS


class Mark(NamedTuple):
    """How a status looks: never by colour alone."""

    symbol: str
    style: str
    word: str


MARKS = {
    "exact": Mark("✓", "green", OUTCOMES["exact"]),
    "sampled": Mark("≈", "green", OUTCOMES["sampled"]),
    "estimator": Mark("≡", "cyan", OUTCOMES["estimator"]),
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


def counts(verdicts: Iterable[Mapping[str, Any]], rungs: Iterable[str] = ()) -> Table:
    """Count the verdicts: a row a rung, those of `rungs` even where nothing is known yet."""
    found = by_rung(verdicts)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("rung", *(f"{mark.symbol} {mark.word}" for mark in MARKS.values())):
        table.add_column(column, justify="left" if column == "rung" else "right")
    for rung in dict.fromkeys((*rungs, *found)):
        own: Mapping[str, int] = found.get(rung, {})
        table.add_row(rung, *(str(own.get(key) or "") for key in MARKS))
    return table


def mark_of(verdict: Mapping[str, Any]) -> Mark:
    """How a verdict looks."""
    return MARKS[outcome(verdict)]


def _cell(verdict: dict[str, Any] | None) -> Text:
    if verdict is None:
        return Text("–", style="dim")
    mark = mark_of(verdict)
    return Text(mark.symbol, style=mark.style)
