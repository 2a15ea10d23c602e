"""`covlaw llm audit` on recorded runs: tables, and the same as JSON."""

import json
from pathlib import Path

import pytest

from covlaw.ladder.cli import main
from covlaw.ladder.commands.llm.audit import _estimate
from covlaw.records.verdict.rows import Estimate

RUNS = Path(__file__).parents[2] / "figures" / "data" / "ladder" / "llm"


def test_several_runs_are_judged_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    folders = sorted(str(path) for path in RUNS.glob("linear-seed*"))
    out = tmp_path / "verdict.json"
    assert main(["llm", "audit", *folders, "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    for title in ("Signs and size", "Alarms", "Power", "fell over a run for certain"):
        assert title in shown
    assert "± standard error" not in shown  # rows of several runs on request only
    record = json.loads(out.read_text())
    assert len(record["runs"]) == len(folders)
    found = record["agreement"]["1"]["exact_change"]["signs"]
    assert f"{found['agree']}/{found['of']}" in shown
    assert all(fall["objective"] in shown for fall in record["falls"])


def test_one_run_shows_its_audits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    main(["llm", "audit", str(RUNS / "linear-seed0")])
    shown = capsys.readouterr().out
    assert "own batch" in shown
    assert shown.count("clarity") >= 5


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none" / "v.json"
    assert main(["llm", "audit", str(RUNS / "linear-seed0"), "--json", str(missing)]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_change_of_nothing_has_no_sign_and_an_unknown_error_is_left_out() -> None:
    assert _estimate(Estimate(-4e-4, 1e-3)) == "0.000±0.001"
    assert _estimate(Estimate(0.0, float("inf"))) == "0.000"
    assert _estimate(Estimate(-0.0123, 0.004)) == "-0.012±0.004"
    assert _estimate(Estimate(float("nan"), 0.1)) == "–"
