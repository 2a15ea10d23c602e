"""Names, prompts and texts of records on the terminal: shown, never obeyed, never without end."""

import json
import logging
import re
from io import StringIO
from pathlib import Path

import pytest
from fake_runs import write_llm_run
from rich.text import Text

import covlaw.ladder
from covlaw.ladder.cli import main
from covlaw.ladder.plain_text import MESSAGE, NAME, PlainFormatter, shortened, spelled
from covlaw.ladder.screen import Console
from covlaw.ladder.tables import Rows

HOSTILE = "a\x1b[2J\u202eb\x07\r\x9b31m"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_a_text_is_spelled_out() -> None:
    assert spelled(HOSTILE) == "a⟨U+001B⟩[2J⟨U+202E⟩b⟨U+0007⟩⟨U+000D⟩⟨U+009B⟩31m"
    assert spelled("plain é 数 👩\u200d🔬\n\t") == "plain é 数 👩\u200d🔬\n\t"


@pytest.mark.parametrize("length", [40, 100, MESSAGE])
def test_a_long_text_keeps_its_ends_and_says_what_is_left_out(length: int) -> None:
    text = "begin" + "x" * 10**6 + "end"
    found = shortened(text, length)
    assert len(found) <= length
    assert found.startswith("begin")
    left_out = re.search(r"…(\d+) characters…", found)
    assert left_out
    kept = len(found) - len(left_out[0]) - 2
    assert kept + int(left_out[1]) == len(text)
    assert shortened("x" * length, length) == "x" * length


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_printed_cannot_steer_the_terminal(terminal: bool) -> None:
    file = StringIO()
    out = Console(file=file, force_terminal=terminal, width=400, color_system="standard")
    out.print(HOSTILE, markup=False)
    out.print(Text(HOSTILE, style="bold"), soft_wrap=True)
    table = Rows(["name\x1b[1m", "value"], {"name"})
    table.add(HOSTILE, "W" * 500)
    table.show(out)
    ours = re.sub("\x1b\\[[0-9;]*m", "", file.getvalue())  # styles, which rich adds afterwards
    assert not HIDDEN.search(ours)
    assert ours.count("a⟨U+001B⟩[2J⟨U+202E⟩b") == 3
    assert "W" * (NAME + 1) not in ours


def test_a_line_without_end_is_cut() -> None:
    file = StringIO()
    Console(file=file, width=10**6).print(Text("x" * 10**5), soft_wrap=True)
    assert len(file.getvalue()) <= MESSAGE + 1


def test_errors_and_warnings_are_spelled_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([HOSTILE + "x" * 10**5]) == 2
    shown = capsys.readouterr().err
    assert not HIDDEN.search(shown)
    assert len(shown) < MESSAGE + 20
    assert "choose from" in shown
    record = logging.LogRecord("covlaw", 30, "", 0, "%s is odd", (HOSTILE,), None)
    assert not HIDDEN.search(PlainFormatter().format(record))


def test_a_run_with_hostile_names_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_llm_run(tmp_path / "run\x1b[31m")
    names = [HOSTILE, "W" * 5000, "clarity"]
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    (run / "steps.jsonl").write_text(
        "".join(json.dumps(line | {"objectives": names}) + "\n" for line in lines)
    )
    assert main(["llm", "audit", str(run)]) == 0
    shown = capsys.readouterr()
    assert "⟨U+001B⟩[2J⟨U+202E⟩" in shown.out
    assert "W" * 200 not in shown.out
    assert not HIDDEN.search(shown.out + shown.err)


def test_every_command_prints_through_this_console() -> None:
    root = Path(covlaw.ladder.__file__).parent
    richs = re.compile(r"rich\.console import .*\bConsole\b|rich\.console\.Console")
    users = {path.name for path in root.rglob("*.py") if richs.search(path.read_text())}
    assert users == {"screen.py"}
