"""Figures, report, study and audits say the same of the same recorded runs."""

from pathlib import Path

import numpy as np
import pytest

from covlaw.figures._drawing.render import recorded
from covlaw.figures.registry import load
from covlaw.ladder.report.llm_section import llm_sections
from covlaw.ladder.study.llm import record_of
from covlaw.ladder.study.plan import all_runs
from covlaw.ladder.study.rows import measured, settings_of
from covlaw.ladder.study.settings import StudySettings
from covlaw.records.findings import outcomes
from covlaw.records.ladder import llm_runs
from covlaw.records.reading import read
from covlaw.records.verdict.verdict import run_verdict

LADDER = recorded("ladder")
FOLDERS = sorted(path for path in (LADDER / "llm").iterdir())
Names = set[tuple[str, str]]


def by_study() -> Names:
    run = all_runs(StudySettings(("llm",), ("ctwa",), seeds=1))[0]
    rows = {r.name: measured(settings_of(run, {}, 45), record_of(r)) for r in llm_runs(LADDER)}
    return {
        (name, objective)
        for name, row in rows.items()
        for objective, gone in zip(row["objectives"], row["sacrificed"], strict=True)
        if gone
    }


def by_audits() -> Names:
    return {(f.run, f.objective) for f in run_verdict(FOLDERS).falls if f.sacrificed}


def by_report() -> Names:
    sections = llm_sections(read(LADDER))
    return {(s["run"].name, name) for s in sections for name, _, _, gone in s["outcome"] if gone}


@pytest.mark.parametrize("words", [by_study, by_audits, by_report])
def test_who_is_sacrificed_is_the_same_everywhere(words: "type[Names]") -> None:
    expected = {(f"linear-seed{k}", "clarity") for k in range(3)} | {("ctwa-fast-seed1", "clarity")}
    assert words() == expected


def test_the_figures_title_counts_them() -> None:
    title = load("interference").describe(LADDER).title
    paying = [o for o in outcomes(llm_runs(LADDER)) if o.sacrificed]
    assert sum(o.sacrificed for o in paying) == len(by_audits())
    for o in paying:
        assert f"{o.method} sacrifices {o.objective} in {o.sacrificed} of {o.seeds}" in title


def test_falls_and_ends_agree_with_the_study() -> None:
    for run in llm_runs(LADDER):
        record = record_of(run)
        start, end = record.values[: record.window].mean(0), record.values[-record.window :].mean(0)
        np.testing.assert_allclose(run.ends.start, start, rtol=1e-14)
        np.testing.assert_allclose(run.ends.end, end, rtol=1e-14)
    fallen = {
        (run.name, name)
        for run in llm_runs(LADDER)
        for name, gone in zip(run.objectives, run.ends.fallen, strict=True)
        if gone
    }
    assert {(f.run, f.objective) for f in run_verdict(FOLDERS).falls} == fallen


def test_study_and_audits_raise_the_same_alarms() -> None:
    verdict = run_verdict(FOLDERS).alarms["law"]
    counts = [record_of(run).counts for run in llm_runs(LADDER)]
    assert verdict.alarms == sum(int(c.alarms.sum()) for c in counts) > 0
    assert verdict.confirmed == sum(int(c.hits.sum()) for c in counts)
    assert verdict.falls == sum(int(c.falls.sum()) for c in counts) > 0


def test_no_folder_is_judged_by_its_name() -> None:
    assert {path.name for path in FOLDERS} == {run.name for run in llm_runs(Path(LADDER))}
