"""A scalarizer, a task, a reward, an engine, a statement and a rung from a folder of one's own."""

import json
import shutil
import sys
from pathlib import Path

import pytest

import covlaw
from covlaw.ladder.cli import main
from covlaw.llm.tasks import load_task

MINE = Path(__file__).parent / "_shared/from_outside.py"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "my own.py"
    shutil.copy(MINE, file)
    return file


def test_a_statement_and_a_rung_work_in_check(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rung = f"{mine}:RUNG"
    arguments = ["check", f"{mine}:STATEMENT", "T19", "--rung", rung, "--instances", "4"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "A reward never has a negative covariance with itself" in shown
    assert shown.count("✓ holds") == 2
    assert main([*arguments, "-v"]) == 0
    assert "outside this package" in capsys.readouterr().out
    assert covlaw.check(f"{mine}:STATEMENT", rung, instances=4).status == "holds"
    assert mine.with_name("my own.py.runs").read_text() == "x"  # it ran once


def test_a_scalarizer_works_in_study(mine: Path, tmp_path: Path) -> None:
    out, place = tmp_path / "study", f"first={mine}:FirstOnly"
    command = f"study --quick --worlds bandit --seeds 1 --signals grpo --jobs 1 --out {out}"
    assert main([*command.split(), "--scalarizers", "linear", place]) == 0
    rows = [json.loads(line) for line in (out / "table.jsonl").read_text().splitlines()]
    assert {row["algorithm"] for row in rows} == {"linear", place}
    assert main([*command.split(), "--scalarizers", f"{mine}:Missing"]) == 2


def test_what_is_no_such_thing_is_refused_by_name(mine: Path) -> None:
    for call, message in (
        (lambda: covlaw.make_scalarizer(f"{mine}:short", ["a"]), "is function, not a class"),
        (lambda: covlaw.make_scalarizer(f"{mine}:State", ["a"]), "lacks before, after, init"),
        (lambda: covlaw.make_loss(f"{mine}:FirstOnly"), "is type without published_aggregation"),
        (lambda: covlaw.check(f"{mine}:RUNG"), "is Mine, not a Statement"),
        (lambda: covlaw.check("T5", f"{mine}:State"), "not a Rung"),
        (lambda: load_task(f"{mine}:COUNT", "train"), "cannot be imported: AttributeError"),
        (lambda: covlaw.make_scalarizer("liner", ["a"]), "did you mean linear.*path/to/file.py"),
    ):
        with pytest.raises(covlaw.CovlawError, match=message):
            call()


ENTRY_POINTS = """
[covlaw.scalarizers]
first_only = {module}:FirstOnly
linear = {module}:FirstOnly
[covlaw.losses]
reinforce = {module}:Reinforce
[covlaw.tasks]
additions = {module}:additions
[covlaw.rewards]
short = {module}:short
[covlaw.engines]
echo = {module}:echo
[covlaw.statements]
X1 = {module}:STATEMENT
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution with entry points of every group, as pip would lay it out."""
    shutil.copy(MINE, tmp_path / "covlaw_added_module.py")
    info = tmp_path / "covlaw_added-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: covlaw-added\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS.format(module="covlaw_added_module"))
    monkeypatch.syspath_prepend(tmp_path)
    return "covlaw-added"


def test_installed_packages_add_names(installed: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = covlaw.make_scalarizer("first_only", ["a"], weight=2.0)
    assert (type(made).__name__, made.weight) == ("FirstOnly", 2.0)
    assert type(covlaw.make_scalarizer("linear", ["a"])).__name__ == "Linear"  # ours stays ours
    assert load_task("additions", "val", seed=1)[0].reference in {"5", "6", "7"}
    assert covlaw.check("X1", instances=4).status == "holds"
    for command, line in (
        ("scalarizers", "first_only Everything for the first reward."),
        ("losses", "reinforce PPO's loss that never clips."),
        ("tasks", "additions Small sums."),
        ("rewards", "short One over the length."),
        ("engines", "echo The engine of this package under another name."),
    ):
        assert main([command]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert line in shown.replace(f" {installed}", "")  # which stands in a column of its own
        assert installed in shown


def test_a_listing_imports_nothing_of_what_it_lists(
    installed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "covlaw_added_module", raising=False)
    last = list(covlaw.SCALARIZERS.listed())[-1]
    assert last == ("first_only", "Everything for the first reward.", installed)
    assert "covlaw_added_module" not in sys.modules
