"""What a ladder's verdicts say: the headline, the one table, and each statement in full."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, NamedTuple

from covlaw import __version__
from covlaw.ladder.climb.matrix import MARKS
from covlaw.ladder.report.formulas import mathml
from covlaw.records.outcomes import by_rung, outcome
from covlaw.records.power import power_by_rung
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.registry import PARTS, file_of, part_of
from covlaw.theory.worlds.rungs import ALL_RUNGS

COLUMNS = (
    *(("id", "number"), ("statement", "text"), ("rung", "number"), ("verdict", "text")),
    *(("kind", "text"), ("measured", "number"), ("predicted", "number"), ("slack", "number")),
    *(("tolerance", "number"), ("n", "number"), ("tightness", "number"), ("control", "text")),
)
"""(head, how it is sorted) of the table of verdicts."""


class Row(NamedTuple):
    """One verdict and the statement it is of."""

    verdict: dict[str, Any]
    title: str
    part: str
    """Folder of the statement; "" for one that this version does not know."""


def verdict_section(record: dict[str, Any]) -> dict[str, Any]:
    """Everything that verdicts.json and the statements say."""
    verdicts = [v | {"outcome": outcome(v)} for v in record["verdicts"]]
    rows = list(verdict_rows(verdicts))
    return {
        "headline": headline(verdicts),
        "power": power_by_rung(verdicts),
        "omitted": record["omitted"],
        "rungs": [r for r in ALL_RUNGS if any(v["rung"] == r for v in verdicts)],
        "by_cell": {(v["id"], v["rung"]): v for v in verdicts},
        "statements": STATEMENTS,
        "formulas": {id: mathml(s.latex, s.formula) for id, s in STATEMENTS.items()},
        "files": {id: file_of(id) for id in STATEMENTS},
        "urls": _urls(record),
        "rows": rows,
        "parts": parts(rows),
        "columns": COLUMNS,
    }


def headline(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of everything."""
    found = [outcome(v) for v in verdicts]
    return {
        "counts": {key: found.count(key) for key in MARKS},
        "by_rung": by_rung(verdicts),
        "statements": len({v["id"] for v in verdicts}),
        "comparisons": sum(v["n"] for v in verdicts),
        "refuted": [f"{v['id']} on {v['rung']}" for v in verdicts if v["status"] == "refuted"],
    }


def verdict_rows(verdicts: list[dict[str, Any]]) -> Iterator[Row]:
    """Yield the verdicts that compared something, in the order of the record."""
    for verdict in verdicts:
        if verdict["n"]:
            id = verdict["id"]
            known = id in STATEMENTS
            yield Row(verdict, STATEMENTS[id].title if known else "", part_of(id) if known else "")


def parts(rows: list[Row]) -> dict[str, str]:
    """Folder → heading, of the parts that have a row."""
    present = {row.part for row in rows}
    return {part: heading for part, heading in PARTS.items() if part in present}


def _urls(record: dict[str, Any]) -> dict[str, str]:
    version = record.get("covlaw", __version__)
    return {id: source_url(file_of(id), version, repository()) for id in STATEMENTS}


PAGES = ("repository", "source", "source code")
"""Labels of project URLs under which the files can be read."""


def source_url(path: str, version: str, repository: str) -> str:
    """URL of a file of the repository at a version; "" where the project has no URL."""
    return f"{repository.rstrip('/')}/blob/v{version}/{path}" if repository else ""


@cache
def repository() -> str:
    """URL of the repository, as the package's metadata names it; "" where it names none."""
    try:
        entries = metadata("covlaw").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(entry.split(", ", 1) for entry in entries if ", " in entry)
    labels = {label.lower(): url for label, url in named.items()}
    return next((labels[page] for page in PAGES if page in labels), "")
