"""`covlaw inspect`: the verdict, its exit codes, tables of any width, the page."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from made_logs import as_csv, rollouts
from rich.console import Console

from covlaw.ladder.cli import main
from covlaw.ladder.inspected import show
from covlaw.ladder.report.inspection_page import inspection_page
from covlaw.ladder.tables import Rows
from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.inspection.losers import losers
from covlaw.plugins.logs.columns import Asked
from covlaw.plugins.logs.read import read_log
from covlaw.plugins.logs.texts import read_texts

RUN = Path(__file__).parents[2] / "figures" / "data" / "ladder" / "llm" / "linear-seed0"


@pytest.fixture
def conflict(tmp_path: Path) -> Path:
    return as_csv(rollouts(steps=6, prompts=32, conflict_from=1), tmp_path / "log.csv")


def test_the_verdict_comes_first_and_the_exit_code_says_what_was_asked(
    conflict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, page = tmp_path / "o.json", tmp_path / "o.html"
    files = ["--json", str(record), "--html", str(page)]
    assert main(["inspect", str(conflict), *files]) == 0
    shown = capsys.readouterr().out
    assert shown.index("brief is being traded away") < shown.index("Each reward")
    found = json.loads(record.read_text())
    assert found["headline"][0].startswith("brief is being traded away")
    assert "brief is being traded away" in page.read_text()
    assert main(["inspect", str(conflict), "--fail-on", "alarm"]) == 1
    assert main(["inspect", str(conflict), "--fail-on", "dead"]) == 0
    assert main(["inspect", str(conflict), "--last", "1", "--against", str(conflict)]) == 0
    assert "Against the other log" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.parquet"], "nothing at nowhere.parquet"),
        (["{log}", "--weights", "1"], "give one finite number each"),
        (["{log}", "--last", "0"], "give a number of steps"),
        (["{log}", "--rewards", "acuracy"], "accuracy"),
        (["{log}", "--targets", "1"], "give one number ≥ 0 each"),
        (["{log}", "--precision", "0"], "give a standard error above 0"),
        (["{log}", "--advantage", "gpro"], "grpo"),
    ],
)
def test_mistakes_are_a_sentence_and_exit_code_2(
    conflict: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *(a.format(log=conflict) for a in arguments)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_digit_is_cut_at_any_width(width: int) -> None:
    found = inspect_log(read_log(rollouts(steps=2)))
    texts = []
    for columns in (width, 10_000):
        out = StringIO()
        show(found, Console(file=out, width=columns))
        texts.append(re.findall(r"[+-]?\d+\.\d+±\d+\.\d+", out.getvalue()))
    assert sorted(texts[0]) == sorted(texts[1])
    assert len(texts[1]) > 20


def test_a_table_moves_columns_to_a_second_part() -> None:
    table = Rows(("name", "one", "two"), {"name"})
    table.add("row", "+0.123±0.456", "+7.890±0.123")
    assert len(list(table.parts(Console(width=24)))) == 2
    assert len(list(table.parts(Console(width=40)))) == 1


def test_off_a_terminal_the_audit_of_a_run_keeps_its_errors() -> None:
    """At 80 columns rich would end cells in an ellipsis."""
    command = [sys.executable, "-m", "covlaw.ladder", "llm", "audit", str(RUN)]
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603
    assert "…" not in done.stdout.replace("… ", "")
    assert len(re.findall(r"\d±0\.\d{3}", done.stdout)) > 20


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", "prompt,text\na,x\na,y\n", "no column of numbers"),
        ("words.csv", "prompt,step,r\na,3,1\na,3,high\n", "no column of numbers"),
        ("infinite.csv", "prompt,step,r\na,3,1\na,3,inf\n", "row 2 (step 3): 'r' is inf"),
        (
            "mixed.jsonl",
            '{"prompt": 1, "step": 2, "r": 1}\n{"prompt": 1, "step": 2, "r": "x"}\n',
            "",
        ),
        ("empty.jsonl", "", "holds no rows"),
        ("header.csv", "prompt,r\n", "holds no rows"),
        ("cut.parquet", "PAR1", "no readable Parquet file"),
        ("trainer_state.json", '{"log_history": [{"loss": 1.0}], "step": 3}\n', ""),
    ],
)
def test_bad_logs_are_a_sentence_and_exit_code_2(
    tmp_path: Path, name: str, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    assert main(["inspect", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert words in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nan.csv", "prompt,r,q\na,1,1\na,nan,0\nb,0,1\nb,1,0\n", "r, q"),
        ("constant.csv", "prompt,r,q\na,1,1\na,1,0\nb,1,1\nb,1,0\n", "r never varies"),
        ("order.csv", "prompt,step,r\na,2,1\na,2,0\nb,1,1\nb,1,0\n", "steps stand out of order"),
        (
            "cut.jsonl",
            '{"prompt": 1, "r": 1}\n{"prompt": 1, "r": 0}\n{"prom',
            "line 3 is cut short",
        ),
    ],
)
def test_odd_logs_are_read_and_what_is_odd_is_said(
    tmp_path: Path, name: str, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    page = tmp_path / "page.html"
    assert main(["inspect", str(tmp_path / name), "--html", str(page)]) == 0
    assert words in " ".join(capsys.readouterr().out.split())


def test_hostile_names_are_text_on_the_page() -> None:
    rows = rollouts(steps=2)
    bad = "<script>alert(1)</script>"
    for row in rows:
        row[bad] = row.pop("format")
    for row in rows:
        row["prompt"] = f"</p>{bad}{row['prompt']}"
        row["completion"] = f"\u202e{bad}"
    found = inspect_log(read_log(rows))
    worst = losers(found)
    texts = read_texts(rows, {(w.step, w.prompt) for w in worst}, Asked())
    assert worst
    page = inspection_page(found, worst, texts)
    assert page.count("<script") == 1  # our own, named by its hash
    assert page.count("&lt;script&gt;") > 10
    assert "⟨U+202E⟩&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_preflight_compares_weights_on_base_rollouts(
    conflict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ["--weights", "1,1,1", "0,0,1"]
    assert main(["preflight", "--log", str(conflict), *sets]) == 0
    shown = capsys.readouterr().out
    part = shown[shown.index("side by side") :]
    assert part.index("1, 1, 1") < part.index("0, 0, 1")
    assert main(["preflight", "--log", str(conflict), "--weights", "1;1"]) == 2
    assert "numbers with commas" in capsys.readouterr().err
