"""A ladder: deterministic, resumable, and honest about what failed."""

import json
from pathlib import Path
from typing import Any

import pytest
from inline_pool import Inline

from covlaw.ladder.cli import main
from covlaw.ladder.climb import plan, run
from covlaw.ladder.commands import ladder as ladder_command
from covlaw.theory.statements import STATEMENTS

VERDICT_KEYS = [
    *("id", "rung", "kind", "status", "measured", "predicted", "slack", "tolerance"),
    *("violations", "n", "tightness", "negative_control", "judged", "note"),
]


@pytest.fixture(autouse=True)
def few_and_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ("T1", "T8", "T19", "T26", "F1")
    statements = {id: STATEMENTS[id] for id in few}
    monkeypatch.setattr(plan, "STATEMENTS", statements)
    measured = {"convergence": plan.MEASUREMENTS["convergence"]}
    monkeypatch.setattr(plan, "MEASUREMENTS", measured)
    monkeypatch.setattr(plan, "QUICK_INSTANCES", {"theory": 6, "bandit": 4, "tabular": 3})
    monkeypatch.setattr(run, "ProcessPoolExecutor", Inline)


def climb(out: Path, *extra: str) -> int:
    return main(["ladder", "--quick", "--rungs", "theory", "bandit", "--out", str(out), *extra])


def test_verdicts_follow_the_design_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    assert climb(tmp_path / "a") == 0
    assert climb(tmp_path / "b") == 0
    first, second = ((tmp_path / x / "verdicts.json").read_bytes() for x in "ab")
    assert first == second
    record = json.loads(first)
    assert list(record) == ["schema", "covlaw", "seed", "quick", "omitted", "verdicts"]
    assert all(list(v) == VERDICT_KEYS for v in record["verdicts"])
    order = [(v["id"], v["rung"]) for v in record["verdicts"]]
    assert order[:3] == [("T1", "theory"), ("T1", "bandit"), ("T8", "theory")]
    assert any("rung llm" in phrase for phrase in record["omitted"])
    assert str(tmp_path).encode() not in first
    assert (tmp_path / "a" / "report.html").exists()


@pytest.mark.parametrize("quick", [True, False])
def test_one_run_repeats_linear_weights_under_the_guard(quick: bool) -> None:
    jobs = plan.training_jobs(plan.Settings(("llm",), seed=5, quick=quick), "out")
    found = {job.name: job.arguments[1] for job in jobs}
    twin, kept = found["linear-seed5"], found["linear-guarded-seed5"]
    assert {key for key in kept if kept.get(key) != twin.get(key)} == {"guard", "audits", "out"}
    assert (kept["guard"], kept["audits"]) == ("on", 0)
    assert [name for name, own in found.items() if "guard" in own] == ["linear-guarded-seed5"]


def test_another_seed_gives_other_numbers(tmp_path: Path) -> None:
    climb(tmp_path / "a")
    climb(tmp_path / "b", "--seed", "1")
    first, second = (
        json.loads((tmp_path / x / "verdicts.json").read_text())["verdicts"] for x in "ab"
    )
    assert [v["id"] for v in first] == [v["id"] for v in second]
    assert [v["measured"] for v in first] != [v["measured"] for v in second]


def test_a_killed_ladder_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    climb(tmp_path / "whole")
    real, seen = run.work, []

    def stop_at_third(job: plan.Job) -> Any:
        seen.append(job.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(job)

    monkeypatch.setattr(run, "work", stop_at_third)
    assert climb(tmp_path / "cut") == 130
    finished = (tmp_path / "cut" / "verdicts.jsonl").read_text().splitlines()
    assert 0 < len(finished) < 10
    seen.clear()
    monkeypatch.setattr(run, "work", lambda job: seen.append(job.name) or real(job))
    assert climb(tmp_path / "cut") == 0
    assert len(seen) == 11 - len(finished)  # 5 statements on 2 rungs, 1 measurement, none twice
    names = ["whole", "cut"]
    first, second = ((tmp_path / n / "verdicts.json").read_bytes() for n in names)
    assert first == second


def test_a_refuted_claim_gives_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = run.work

    def refute(job: plan.Job) -> Any:
        verdict = real(job)
        return verdict | {"status": "refuted"} if job.name == "T8 bandit" else verdict

    monkeypatch.setattr(run, "work", refute)
    assert climb(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("T8") and "✗" in line for line in lines)
    assert "refuted are T8 on bandit" in (tmp_path / "report.html").read_text()


def test_a_crash_is_recorded_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = run.work

    def crash(job: plan.Job) -> Any:
        if job.name == "T19 theory":
            raise ZeroDivisionError("on purpose")
        return real(job)

    monkeypatch.setattr(run, "work", crash)
    assert climb(tmp_path) == 3
    assert "crashed: T19 theory: ZeroDivisionError: on purpose" in capsys.readouterr().out
    assert "on purpose" in (tmp_path / "failures.log").read_text()
    assert len(json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]) == 9


def test_another_ladder_is_refused_and_fresh_replaces_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    climb(tmp_path)
    assert climb(tmp_path, "--seed", "1") == 2
    error = capsys.readouterr().err
    assert "holds another run: seed is 0 there, 1 here" in error
    assert "--fresh" in error
    (tmp_path / "notes.txt").write_text("mine")
    assert climb(tmp_path, "--seed", "1", "--fresh") == 0
    assert json.loads((tmp_path / "verdicts.json").read_text())["seed"] == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_module_is_the_command() -> None:
    assert ladder_command.ladder.__doc__
