"""`report.html`: one self-contained page of a ladder or of a single LLM run."""

import json
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
from covlaw.ladder.matrix import MARKS
from covlaw.ladder.resumable_folder import FAILURES
from covlaw.llm.records import read_config, write_text
from covlaw.theory.errors import CovlawError
from covlaw.theory.rungs import RUNG_NAMES
from covlaw.theory.statements import STATEMENTS


def write_report(run: Path) -> Path:
    """Write the page into the folder it reports on, from recorded files only, and return its path.

    Raises:
        CovlawError: if the folder holds neither a ladder nor an LLM run.
    """
    config = read_config(run)
    has_verdicts = (run / "verdicts.json").is_file()
    runs = llm_runs(run)
    if not has_verdicts and not runs:
        raise CovlawError(f"{run} holds nothing to report yet: let its run finish a step")
    verdicts = verdict_file(run) if has_verdicts else {"verdicts": [], "omitted": []}
    page = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            version=__version__,
            config=config,
            environment=_read(run / "environment.json"),
            headline=_headline(verdicts["verdicts"]),
            claim=interference_claim(runs) if runs else "",
            agreement=_agreement(runs),
            omitted=verdicts["omitted"],
            crashed=(run / FAILURES).is_file(),
            figures=[_figure(name, run) for name in available(run)],
            rungs=[r for r in RUNG_NAMES if any(v["rung"] == r for v in verdicts["verdicts"])],
            by_cell={(v["id"], v["rung"]): v for v in verdicts["verdicts"]},
            statements=STATEMENTS,
            marks=MARKS,
            runs=runs,
        )
    )
    path = run / "report.html"
    write_text(path, page)
    return path


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
