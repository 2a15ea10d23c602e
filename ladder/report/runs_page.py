"""A project's folder on one page: every run, ladder and study below it, a row each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covlaw.ladder.report.comparison import joint_picture, settings
from covlaw.ladder.report.first_line import first_line
from covlaw.ladder.report.llm_section import agreements
from covlaw.ladder.report.pictures import drawable, picture
from covlaw.ladder.report.real_section import real_section
from covlaw.records.ladder import LlmRun
from covlaw.records.reading import Recorded
from covlaw.records.verdict.headline import headline


def runs_page(folder: Path, members: Sequence[Recorded], pictures: bool = True) -> dict[str, Any]:
    """Everything that the page shows."""
    runs = [m.runs[0] for m in members if m.kind == "LLM run"]
    own = [] if not pictures else drawable(folder)
    return {
        "name": folder.resolve().name,
        "members": members,
        "words": headline(runs),
        "tables": _tables([m for m in members if m.kind == "LLM run"]),
        "real": real_section(folder),
        "others": [(m, first_line(m)) for m in members if m.kind != "LLM run"],
        "agreement": agreements(runs),
        "settings": list(settings(members)),
        "pictures": [picture(name, folder) for name in own],
        "together": joint_picture(members) if pictures and not own else None,
    }


def _tables(members: Sequence[Recorded]) -> list[dict[str, Any]]:
    """LLM runs by their objectives, a row each."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for member in members:
        run = member.runs[0]
        found.setdefault(tuple(run.objectives), []).append(
            {"name": member.name, "run": run, "ends": _ends(run), "words": _words(member)}
        )
    return [{"objectives": names, "rows": rows} for names, rows in found.items()]


def _words(member: Recorded) -> str:
    """Its falls; the numbers of a run without any stand beside it."""
    fell = bool(member.runs[0].ends.fallen.any())
    return first_line(member) if fell else "no objective fell for certain"


def _ends(run: LlmRun) -> list[tuple[float, float, bool]]:
    start, end = run.ends.start.tolist(), run.ends.end.tolist()
    return list(zip(start, end, run.ends.sacrificed.tolist(), strict=True))
