"""One page for a project's folder; sections for the guard, the model and its evaluations."""

import json
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from fake_runs import write_ladder, write_llm_run

from covlaw.figures._drawing.render import recorded
from covlaw.ladder.cli import main
from covlaw.ladder.climb.plan import Settings
from covlaw.ladder.climb.state import ClimbState
from covlaw.ladder.commands.ladder import _summary
from covlaw.ladder.report import write_report
from covlaw.ladder.report.run_facts import guard_words
from covlaw.ladder.screen import Console
from covlaw.records.ladder import llm_runs
from covlaw.records.reading import below
from covlaw.theory._numerics.errors import CovlawError

GUARDED = recorded("guard-llm") / "llm" / "linear-guard-0"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two runs, one of them deeper, a run that has not begun, and what is no run."""
    folder = tmp_path / "project"
    write_llm_run(folder / "first", "linear")
    write_llm_run(folder / "later" / "deep", "ctwa")
    (folder / "begun").mkdir()
    (folder / "begun" / "config.toml").write_text("seed = 0\n")
    (folder / "notes").mkdir()
    return folder


def test_every_run_has_a_row(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(below(project)) == 3
    assert main(["report", str(project)]) == 0
    said = capsys.readouterr().out
    assert "fell in" in said
    page = (project / "report.html").read_text()
    rows = page[page.index('id="runs"') :]
    assert "linear" in rows
    assert "ctwa" in rows
    assert "left out: begun" in page


def test_a_folder_of_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match="holds no run"):
        write_report(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("")
    with pytest.raises(CovlawError, match="nothing to report yet"):
        write_report(tmp_path)


def test_a_file_in_place_of_a_folder_gets_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("x")
    for command in (["report"], ["llm", "audit"]):
        assert main([*command, str(file)]) == 2
        assert "is a file: name the folder" in capsys.readouterr().err


def test_a_run_s_page_says_what_became_of_refused_corrections(tmp_path: Path) -> None:
    run = shutil.copytree(GUARDED, tmp_path / "run")
    steps = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    for step in steps:
        step["guard"] |= {"refused": "", "factor": 1.0, "own": 1.0}
    for step, own in zip(steps, (1.0, 0.25, 0.5), strict=False):
        step["guard"] |= {"refused": "its check did not pass", "factor": 0.0, "own": own}
    (run / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    said = " ".join(write_report(run, pictures=False).read_text().split())
    assert "and not 3 others, for which no correction passed its own check: 2 of these" in said


def test_a_ladders_summary_and_page_say_what_its_guard_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_ladder(tmp_path / "ladder", seeds=1)
    shutil.copytree(GUARDED, folder / "llm" / "linear-guarded-seed0")
    said = guard_words(llm_runs(folder))
    steps = [
        json.loads(line)["guard"] for line in (GUARDED / "steps.jsonl").read_text().split("\n")[:-1]
    ]
    turned = [s for s in steps if s["factor"] > 0 and any(s["weights"])]
    shares = sum((np.array(s["weights"]) / sum(s["weights"]) for s in turned), np.zeros(3))
    name = ("accuracy", "conciseness", "clarity")[int(shares.argmax())]
    assert said.startswith(f"linear-guarded-seed0: it turned {len(turned)} of {len(steps)} steps")
    assert f"most of all for {name} ({100 * shares.max() / len(turned):.0f} %" in said
    page = unescape(write_report(folder, pictures=False).read_text())
    assert said in page
    assert "linear, guarded sacrifices" in page  # apart from the unguarded runs, not among them
    state = ClimbState(Settings(("llm",), quick=True), folder, {})
    _summary(Console(), state, folder / "report.html")
    assert f"guard: {said}" in " ".join(capsys.readouterr().out.split())
    shutil.rmtree(folder / "llm" / "linear-guarded-seed0")
    assert guard_words(llm_runs(folder)) == ""
    assert "under the guard" not in write_report(folder, pictures=False).read_text()


def test_a_guarded_runs_page_says_what_the_guard_did(tmp_path: Path) -> None:
    folder = tmp_path / "guarded"
    shutil.copytree(GUARDED, folder)
    steps = [
        json.loads(line)["guard"] for line in (folder / "steps.jsonl").read_text().splitlines()
    ]
    turned = sum(s["factor"] > 0 and any(s["weights"]) for s in steps)
    line = {"step": 0, "split": "val", "objectives": ["accuracy", "conciseness", "clarity"]}
    line |= {"reward_mean": [0.5, 0.4, 0.25], "reward_se": [0.01, 0.02, 0.03]}
    (folder / "evaluations.jsonl").write_text(json.dumps(line) + "\n")
    page = write_report(folder, pictures=False).read_text()
    assert f"It turned {turned} of {len(steps)} steps" in page
    assert "Evaluations on the way" in page
    assert "0.250" in page
    assert "Model and data" in page
