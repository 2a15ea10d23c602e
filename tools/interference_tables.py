"""Write the study's tables into docs/interference.md from the record: from the source tree only.

`python tools/interference_tables.py`
"""

from pathlib import Path
from typing import Any

from covlaw.figures._drawing.render import recorded
from covlaw.records.study import END, LEAD, Cells, measured, study_summary, table_of

PAGE = Path(__file__).parents[1] / "docs" / "interference.md"
BEGIN, END_MARK = "<!-- tables: tools/interference_tables.py -->\n", "<!-- end of tables -->\n"
BUDGET = "0.1"
"""KL from the start, in nats, of the first table."""


def page(text: str) -> str:
    """Replace what stands between the marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END_MARK)
    return before + BEGIN + tables() + END_MARK + after


def tables() -> str:
    """Who is sacrificed at equal KL and at the end, as Markdown."""
    cells, worlds, names = table_of(study_summary(recorded("study")))
    heads = {BUDGET: f"% that sacrifice an objective at KL {BUDGET}", END: "the same, at the end"}
    return "\n".join(_table(head, place, cells, worlds, names) for place, head in heads.items())


def _table(head: str, place: str, cells: Cells, worlds: list[str], names: list[str]) -> str:
    rows = [(head, *worlds, "volume"), ("---",) * (len(worlds) + 2)]
    for name in names:
        shares = [_share(cells.get((name, world)), place) for world in worlds]
        rows.append((name, *shares, _volume(cells.get((name, LEAD)), place)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _share(cell: dict[str, Any] | None, place: str) -> str:
    """Percent with half its interval; – where no run got that far or there is none."""
    found = None if cell is None else measured(cell, "sacrifices", place)
    if found is None:
        return "–"
    return f"{100 * found['mean']:.0f} ± {50 * (found['high'] - found['low']):.0f}"


def _volume(cell: dict[str, Any] | None, place: str) -> str:
    found = None if cell is None else measured(cell, "hypervolume", place)
    return "–" if found is None else f"{found['mean']:.3f}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
