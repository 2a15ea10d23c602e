"""Write the study's tables into docs/interference.md from the record: from the source tree only.

`python tools/interference_tables.py`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covlaw.figures._drawing.render import recorded
from covlaw.records.study import (
    END,
    LEAD,
    Cells,
    in_order,
    measured,
    study_summary,
    table_of,
)

PAGE = Path(__file__).parents[1] / "docs" / "interference.md"
BEGIN = "<!-- {}: tools/interference_tables.py -->\n"
FINISH = "<!-- end of {} -->\n"
BUDGET = "0.1"
"""KL from the start, in nats, of the first table."""
NAMES = {"volume": "hypervolume", "room": "room"}
"""Last columns, of the world `LEAD` → measures."""
PLACES = {"hypervolume": 3, "room": 4}
"""Digits."""
GUARD_PLACES = ("0.1", "0.3", END)


def page(text: str) -> str:
    """Replace what stands between the marks."""
    for name, made in PARTS.items():
        begin, finish = BEGIN.format(name), FINISH.format(name)
        before, rest = text.split(begin)
        _, after = rest.split(finish)
        text = before + begin + made() + finish + after
    return text


def tables() -> str:
    """Who is sacrificed at equal KL and at the end, as Markdown."""
    cells, worlds, names = table_of(study_summary(recorded("study")))
    heads = {BUDGET: f"% that sacrifice an objective at KL {BUDGET}", END: "the same, at the end"}
    return "\n".join(_table(head, place, cells, worlds, names) for place, head in heads.items())


def _table(head: str, place: str, cells: Cells, worlds: list[str], names: list[str]) -> str:
    last = ("volume", "room") if _has_room(cells) else ("volume",)
    rows = [(head, *worlds, *last), ("---",) * (len(worlds) + 1 + len(last))]
    for name in names:
        shares = [_share(cells.get((name, world)), place) for world in worlds]
        lead = [_mean(cells.get((name, LEAD)), NAMES[word], place) for word in last]
        rows.append((name, *shares, *lead))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _share(cell: dict[str, Any] | None, place: str) -> str:
    """Percent with half its interval; – where no run got that far or there is none."""
    found = None if cell is None else measured(cell, "sacrifices", place)
    if found is None:
        return "–"
    return f"{100 * found['mean']:.0f} ± {50 * (found['high'] - found['low']):.0f}"


def _has_room(cells: Cells) -> bool:
    """Records made before the distance to the frontier was a measure have none."""
    return all("room" in cell for cell in cells.values())


def _mean(cell: dict[str, Any] | None, name: str, place: str) -> str:
    found = None if cell is None else measured(cell, name, place)
    return "–" if found is None else f"{found['mean']:.{PLACES[name]}f}"


def guards() -> str:
    """Guards, controls and rivals: sacrifices and volume at equal KL and at the end."""
    found = study_summary(recorded("study-guard"))["guards"]
    worlds = in_order([entry["world"] for entry in found])
    return "\n".join(_guards(world, [e for e in found if e["world"] == world]) for world in worlds)


def _guards(world: str, entries: Sequence[Mapping[str, Any]]) -> str:
    heads = [f"KL {place}" if place != END else "end" for place in GUARD_PLACES]
    room = all("room" in entry["at"][END] for entry in entries)
    what = "% that sacrifice / volume" + " / room" * room
    rows = [(f"{world}: {what}", *heads), ("---",) * (len(heads) + 1)]
    for entry in entries:
        name = f"{entry['algorithm']}, {entry['guard']}" if entry["guard"] != "none" else ""
        seen = f", {entry['samples']} completions" if entry["samples"] else ""
        cells = [_both(entry["at"][place]) for place in GUARD_PLACES]
        rows.append(((name or entry["algorithm"]) + seen, *cells))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _both(found: Mapping[str, Any]) -> str:
    share, volume = (found[name]["mean"] for name in ("sacrifices", "hypervolume"))
    if share is None:
        return "–"
    half = 50 * (found["sacrifices"]["high"] - found["sacrifices"]["low"])
    room = f" / {found['room']['mean']:.4f}" if "room" in found else ""
    return f"{100 * share:.0f} ± {half:.0f} / {volume:.3f}{room}"


PARTS = {"tables": tables, "guards": guards}

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
