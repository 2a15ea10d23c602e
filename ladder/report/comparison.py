"""Several folders on one page: what differs in how they were made and in what they found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from covlaw.ladder.climb.matrix import MARKS
from covlaw.ladder.report.llm_section import agreements
from covlaw.ladder.report.pictures import Picture, drawable, picture
from covlaw.ladder.report.verdict_section import headline
from covlaw.records.findings import Outcome, interference_claim, outcomes
from covlaw.records.outcomes import outcome
from covlaw.records.reading import Recorded
from covlaw.records.runs import STEPS
from covlaw.records.study import table_of

UNSET = "–"
PLACES = frozenset({"out"})
"""Settings that only say where a run is kept."""


def comparison(members: Sequence[Recorded], pictures: bool = True) -> dict[str, Any]:
    """Everything that a page comparing them shows, a column a member."""
    return {
        "members": members,
        "settings": list(settings(members)),
        "headlines": [headline(m.verdicts["verdicts"]) for m in members],
        "statuses": [
            (status, [sum(outcome(v) == status for v in m.verdicts["verdicts"]) for m in members])
            for status in MARKS
        ],
        "changed": list(_changed(members)),
        "claims": [interference_claim(m.runs) if m.runs else "" for m in members],
        "outcomes": _outcomes(members),
        "agreements": _agreements(members),
        "shares": list(_shares(members)),
        "together": joint_picture(members) if pictures else None,
        "pictures": list(_pictures(members)) if pictures else [],
    }


def settings(members: Sequence[Recorded]) -> Iterator[tuple[str, list[str]]]:
    """Settings that differ, among the members of whose kind they are."""
    flat = [dict(_flat(m.config)) for m in members]
    for key in _union(flat):
        kinds = {m.kind for m, own in zip(members, flat, strict=True) if key in own}
        values = [own.get(key, UNSET) for own in flat]
        concerned = {v for m, v in zip(members, values, strict=True) if m.kind in kinds}
        if len(concerned) > 1 and key not in PLACES:
            yield key, values


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            entries = value if isinstance(value, list) else [value]
            yield before + key, ", ".join(map(str, entries))


def _changed(members: Sequence[Recorded]) -> Iterator[tuple[str, str, list[str]]]:
    """(statement, rung, a status each) where two members judge one cell differently."""
    found = [{(v["id"], v["rung"]): outcome(v) for v in m.verdicts["verdicts"]} for m in members]
    for cell in _union(found):
        statuses = [own.get(cell, "") for own in found]
        if len({status for status in statuses if status}) > 1:
            yield *cell, statuses


def _outcomes(members: Sequence[Recorded]) -> dict[str, list[list[Outcome]]]:
    """Objective → for each member its outcomes, one a method."""
    found = [outcomes(m.runs) if m.runs else [] for m in members]
    names = _union({outcome.objective: None for outcome in own} for own in found)
    return {name: [[o for o in own if o.objective == name] for own in found] for name in names}


def _agreements(members: Sequence[Recorded]) -> dict[str, list[dict[str, Any] | None]]:
    """Forecast → for each member how often it met the measured change."""
    found = [{row["name"]: row for row in agreements(m.runs)} for m in members]
    return {name: [own.get(name) for own in found] for name in _union(found)}


def _shares(members: Sequence[Recorded]) -> Iterator[tuple[str, str, list[dict[str, Any] | None]]]:
    """(world, algorithm, a cell each) of the studies."""
    found = [table_of(m.study)[0] if m.study else {} for m in members]
    for algorithm, world in sorted(_union(found), key=lambda cell: (cell[1], cell[0])):
        yield world, algorithm, [own.get((algorithm, world)) for own in found]


def _pictures(members: Sequence[Recorded]) -> Iterator[dict[str, Any]]:
    """One picture after the other, each of every member that has it."""
    own = [drawable(m.folder) for m in members]
    for name in _union(dict.fromkeys(names) for names in own):
        yield {
            "name": name,
            "drawn": [
                (member, picture(name, member.folder, f"r{place}-"))
                for place, (member, names) in enumerate(zip(members, own, strict=True), start=1)
                if name in names
            ],
        }


def _union(tables: Iterable[Mapping[Any, Any]]) -> list[Any]:
    """Every key, in the order of its first appearance."""
    return list(dict.fromkeys(key for table in tables for key in table))


FIGURE = "interference"
"""What draws several LLM runs in one picture."""


def joint_picture(members: Sequence[Recorded]) -> Picture | None:
    """Draw the runs together; None where their methods would not tell them apart.

    Runs of one method count as its seeds in that figure, so members must differ in theirs, and
    agree in their objectives.
    """
    single = [m for m in members if (m.folder / STEPS).is_file() and m.runs]
    methods = {m.runs[0].method for m in single}
    objectives = {tuple(m.runs[0].objectives) for m in single}
    if not 1 < len(single) == len(members) == len(methods) or len(objectives) > 1:
        return None
    with TemporaryDirectory() as folder:
        for place, member in enumerate(single):
            link = Path(folder) / "llm" / str(place)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(member.folder.resolve(), target_is_directory=True)
        return picture(FIGURE, Path(folder), "together-")
