"""Self-contained pages: of one ladder, study or LLM run, or of several side by side."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from covlaw import __version__
from covlaw.ladder.climb.matrix import MARKS
from covlaw.ladder.plain_text import spelled
from covlaw.ladder.report import filters
from covlaw.ladder.report.comparison import comparison
from covlaw.ladder.report.llm_section import (
    CURVE,
    PREDICTIONS,
    SAMPLES,
    agreements,
    llm_sections,
)
from covlaw.ladder.report.pictures import drawable, picture, top_and_rest
from covlaw.ladder.report.run_facts import guard_words
from covlaw.ladder.report.runs_page import runs_page
from covlaw.ladder.report.script import script, style
from covlaw.ladder.report.verdict_section import verdict_section
from covlaw.records.constants import BUDGET_TERMS
from covlaw.records.files import writing_to
from covlaw.records.findings import interference_claim, levels
from covlaw.records.reading import Recorded, below, holds_something, read, read_all
from covlaw.records.resumable_folder import FAILURES
from covlaw.records.runs import CONFIG, write_text
from covlaw.records.study import table_of
from covlaw.records.verdict.headline import headline
from covlaw.theory._numerics.errors import CovlawError

ONE, SEVERAL = "report.html", Path("comparison.html")
"""Where a page goes by default: into the folder it is about, or here if it is about several."""


def write_report(*folders: Path, out: Path | None = None, pictures: bool = True) -> Path:
    """Write the page of one folder, or of several side by side, from recorded files only.

    Args:
        folders: Of a ladder, a study or an LLM run each; or one of a project, which holds some.
        out: The page; None: `report.html` in the folder it is about, `comparison.html` here if it
            is about several.
        pictures: Whether to draw them, which takes most of the time.

    Returns:
        The page's path.

    Raises:
        CovlawError: if a folder holds no ladder, LLM run or study, or is named twice, or the page
            cannot be written.
    """
    if not folders:
        raise CovlawError("no folder to report on: name a ladder's, a study's or an LLM run's")
    path = out or (folders[0] / ONE if len(folders) == 1 else SEVERAL)
    if path.is_dir():
        raise CovlawError(f"{path} is a folder: name the page's file, e.g. {path / ONE}")
    template, content = _content(folders, pictures)
    page = environment().get_template(template).render(**content, **script(), **_common())
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    return path


def _content(folders: tuple[Path, ...], pictures: bool) -> tuple[str, dict[str, Any]]:
    if len(folders) > 1:
        return _several(folders, pictures)
    [folder] = folders
    if not (folder / CONFIG).exists() and (members := below(folder)):
        return _project(folder, members, pictures)
    return _one(folder, pictures)


def _project(folder: Path, places: list[Path], pictures: bool) -> tuple[str, dict[str, Any]]:
    begun = [place for place in places if holds_something(place)]
    if not begun:
        raise CovlawError(f"{folder} holds nothing to report yet: let a run finish a step")
    unread = [str(place.relative_to(folder)) for place in places if place not in begun]
    members = read_all(begun)
    return "runs.html.jinja", runs_page(folder, members, pictures) | {"unread": unread}


def _one(folder: Path, pictures: bool) -> tuple[str, dict[str, Any]]:
    recorded = read(folder)
    top, rest = top_and_rest(drawable(folder) if pictures else [])
    return "report.html.jinja", {
        "recorded": recorded,
        "fallen": headline(recorded.runs),
        "claim": interference_claim(recorded.runs) if recorded.runs else "",
        "agreement": agreements(recorded.runs),
        "guard": guard_words(recorded.runs),
        "crashed": (folder / FAILURES).is_file(),
        "top": [picture(name, folder) for name in top],
        "rest": [picture(name, folder) for name in rest],
        "sections": llm_sections(recorded),
        "study": _study_section(recorded.study),
        **verdict_section(recorded.verdicts),
    }


def _several(folders: tuple[Path, ...], pictures: bool) -> tuple[str, dict[str, Any]]:
    members: list[Recorded] = read_all(folders)
    return "comparison.html.jinja", comparison(members, pictures)


def _common() -> dict[str, Any]:
    return {
        "version": __version__,
        "style": style(),
        "marks": MARKS,
        "forecasts": PREDICTIONS,
        "terms": BUDGET_TERMS,
        "sample_words": SAMPLES,
        "curve_size": CURVE,
    }


def environment() -> Environment:
    """Templates with their filters: all text is escaped, hidden characters named."""
    made = Environment(
        loader=PackageLoader("covlaw.ladder"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        finalize=_spelled,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("number", "signed", "ends", "estimate", "change", "minus"):
        made.filters[name] = getattr(filters, name)
    made.filters["levels"] = levels
    return made


def _spelled(value: Any) -> Any:
    """Whatever text a record holds, its hidden characters named; our own markup stays."""
    return spelled(value) if type(value) is str else value


def _study_section(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with its cells by (algorithm, world); {} where there is none."""
    if not summary:
        return {}
    cells, worlds, names = table_of(summary)
    share = {name: cells[name, worlds[-1]]["sacrifices"]["mean"] for name in names}
    volume = {name: cells[name, worlds[-1]]["hypervolume"]["mean"] for name in names}
    return summary | {
        "cells": cells,
        "worlds": worlds,
        "names": names,
        "share": share,
        "least": min(names, key=lambda name: share[name]),
        "most": max(names, key=lambda name: share[name]),
        "largest": max(names, key=lambda name: volume[name]),
    }
