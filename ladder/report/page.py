"""`report.html`: one self-contained page of a ladder, a study or a single LLM run."""

import json
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from covlaw import __version__
from covlaw.figures.available import available
from covlaw.figures.findings import agreement, interference_claim
from covlaw.figures.records import LlmRun, audits, llm_runs, verdict_file
from covlaw.figures.registry import load
from covlaw.figures.render import inline_svg
from covlaw.figures.study_records import SUMMARY, study_summary, table_of
from covlaw.ladder.matrix import MARKS
from covlaw.ladder.report.formulas import mathml
from covlaw.ladder.report.verdict_rows import parts, verdict_rows
from covlaw.ladder.resumable_folder import FAILURES
from covlaw.ladder.statement_index import file_of
from covlaw.llm.records import read_config, write_text
from covlaw.theory.errors import CovlawError
from covlaw.theory.rungs import RUNG_NAMES
from covlaw.theory.statements import STATEMENTS

COLUMNS = (
    *(("id", "number"), ("statement", "text"), ("rung", "number"), ("verdict", "text")),
    *(("kind", "text"), ("measured", "number"), ("predicted", "number"), ("slack", "number")),
    *(("tolerance", "number"), ("n", "number"), ("tightness", "number"), ("control", "text")),
)
"""(head, how it is sorted) of the table of verdicts."""


def write_report(run: Path) -> Path:
    """Write the page into the folder it reports on, from recorded files only, and return its path.

    Raises:
        CovlawError: if the folder holds no ladder, LLM run or study.
    """
    page = _environment().get_template("report.html.jinja").render(**_content(run))
    path = run / "report.html"
    write_text(path, page)
    return path


def _content(run: Path) -> dict[str, Any]:
    """Everything that the page shows."""
    config, runs, study = read_config(run), llm_runs(run), _study(run)
    has_verdicts = (run / "verdicts.json").is_file()
    if not (has_verdicts or runs or study):
        raise CovlawError(f"{run} holds nothing to report yet: let its run finish a step")
    return {
        "version": __version__,
        "config": config,
        "environment": _read(run / "environment.json"),
        "claim": interference_claim(runs) if runs else "",
        "agreement": _agreement(runs),
        "crashed": (run / FAILURES).is_file(),
        "figures": [_figure(name, run) for name in available(run)],
        "runs": runs,
        "study": study,
        **_verdicts(verdict_file(run) if has_verdicts else {"verdicts": [], "omitted": []}),
        **_script(),
    }


def _verdicts(record: dict[str, Any]) -> dict[str, Any]:
    """Everything that verdicts.json and the statements say."""
    verdicts = record["verdicts"]
    rows = list(verdict_rows(verdicts))
    return {
        "headline": _headline(verdicts),
        "omitted": record["omitted"],
        "rungs": [r for r in RUNG_NAMES if any(v["rung"] == r for v in verdicts)],
        "by_cell": {(v["id"], v["rung"]): v for v in verdicts},
        "statements": STATEMENTS,
        "formulas": {id: mathml(s.latex, s.formula) for id, s in STATEMENTS.items()},
        "files": {id: file_of(id) for id in STATEMENTS},
        "rows": rows,
        "parts": parts(rows),
        "columns": COLUMNS,
        "marks": MARKS,
    }


def _study(run: Path) -> dict[str, Any]:
    """What a study found, laid out as its table; {} where there is none."""
    if not (run / SUMMARY).is_file():
        return {}
    summary = study_summary(run)
    cells, worlds, names = table_of(summary)
    return summary | {"cells": cells, "worlds": worlds, "names": names}


def _script() -> dict[str, Any]:
    """The page's one script, and the hash that is all its security policy lets run."""
    text = (files("covlaw.ladder") / "templates" / "verdicts.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(text.encode()).digest()).decode()
    source = Markup(f"'sha256-{digest}'")  # noqa: S704 - base64 of our own file
    return {"script": Markup(text), "script_source": source}  # noqa: S704


def _figure(name: str, run: Path) -> dict[str, Any]:
    words = load(name).describe(run)
    svg = Markup(inline_svg(name, run))  # noqa: S704 - our own drawing; matplotlib escapes its text
    return {"name": name, "title": words.title, "caption": words.caption, "svg": svg}


def _headline(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    statuses = [v["status"] for v in verdicts]
    return {
        "counts": {status: statuses.count(status) for status in MARKS},
        "statements": len({v["id"] for v in verdicts}),
        "rungs": len({v["rung"] for v in verdicts if v["status"] != "not_applicable"}),
        "comparisons": sum(v["n"] for v in verdicts),
        "controls": sum(bool((v["negative_control"] or {}).get("refuted")) for v in verdicts),
        "refuted": [f"{v['id']} on {v['rung']}" for v in verdicts if v["status"] == "refuted"],
    }


def _agreement(runs: list[LlmRun]) -> list[dict[str, Any]]:
    made = audits(runs)
    names = ("law", "clipped", "first_order", "exact_change") if made else ()
    rows = [agreement(made, name) for name in names]
    return [{"name": r.prediction.replace("_", " "), "within": r.within, "n": r.n} for r in rows]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("covlaw.ladder"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}g}"
