"""The command line: exit codes, and a message with the culprit and the remedy for each mistake."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from covlaw.ladder.cli import main
from covlaw.ladder.commands.table import COMMANDS, LLM_COMMANDS
from covlaw.theory._numerics.sources import first_line
from covlaw.theory.statements import CLAIMS, STATEMENTS

BAD: list[tuple[list[str], str]] = [
    (["chek", "T5"], "unknown command 'chek': did you mean check"),
    (["llm", "trian"], "unknown command of `covlaw llm` 'trian': did you mean train"),
    (["check", "T65"], "unknown statement 'T65': did you mean T6"),
    (["check", "T5", "--rung", "bandits"], "did you mean bandit"),
    (["check", "T5", "--instances", "0"], "instances is 0"),
    (["check", "T5", "--seed", "-1"], "seed is -1"),
    (["find", "nonsense"], "F1  A positive covariance"),
    (["find", "F1", "--seconds", "0"], "seconds is 0"),
    (["ladder", "--rungs", "teory"], "unknown rung 'teory': did you mean theory"),
    (["ladder", "--jobs", "0"], "jobs is 0"),
    (["ladder", "--seed", "-2"], "seed is -2"),
    (["figures", "interferences"], "unknown figure 'interferences': did you mean interference"),
    (["figures", "--run", "/nowhere/at/all"], "holds no recorded run"),
    (["figures", "law_budget", "--run", "/nowhere/at/all"], "needs budgets.jsonl"),
    (["figures", "ladder_matrix", "--out", "/proc/nowhere"], "cannot write to /proc/nowhere"),
    (["report", "/nowhere/at/all"], "holds no run"),
    (["llm", "audit", "/nowhere/at/all"], "holds no run"),
    (["llm", "train", "--scalarizer", "liner"], "unknown scalarizer 'liner': did you mean linear"),
    (["llm", "train", "--preset", "cpu-dmo"], "did you mean cpu-demo"),
    (["llm", "train", "--set", "clip_low=1.5"], "clip_low is 1.5"),
    (["llm", "train", "--set", "steps"], "write KEY=VALUE"),
    (["llm", "train", "--set", "stepz=3"], "did you mean steps"),
    (["llm", "train", "--set", "=3"], "write KEY=VALUE"),
    (["llm", "train", "--set", "steps=9", "--set", "clip_low=1.5"], "clip_low is 1.5"),
    (["llm", "train", "--set", "clip_low=1.5", "--set", "steps=9"], "clip_low is 1.5"),
    (["llm", "train", "--set", "steps=9", "clip_low=1.5", "--seed", "1"], "clip_low is 1.5"),
    (["llm", "train", "--preset", "nowhere.toml"], "nowhere.toml"),
    (["llm", "base", "--mixture", "alligned"], "did you mean aligned"),
    (["llm", "eval", "--set", "batches=9"], "did you mean batch"),
    (["llm", "eval", "--rewards", "clarty"], "did you mean clarity"),
    (["llm", "eval", "--task", "jsonl", "--task-path", "/no/where"], "no folder or file"),
    (["llm", "train", "--set", "options.linear.weight=1"], "did you mean weights"),
    (["llm", "eval", "--task", "aritmetic"], "did you mean arithmetic"),
    (["llm", "eval", "--split", "tset"], "did you mean test"),
    (["llm", "eval", "--completions", "0"], "completions is 0"),
    (["llm", "eval", "--max-tokens", "0"], "max_tokens is 0"),
    (["llm", "eval", "--temperature", "0"], "temperature is 0"),
    (["llm", "eval", "--seed", "-1"], "seed is -1"),
]


@pytest.mark.parametrize(("argv", "message"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_a_mistake_is_named_without_a_traceback(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    # what is being loaded may be said first, and nothing else
    assert re.match(r"(reading preset .*\n)?covlaw: ", error)


def test_a_crash_is_not_taken_for_a_refuted_claim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("covlaw.ladder.report.write_report", crash)
    assert main(["report", "somewhere"]) == 3
    assert "on purpose" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["chek"], [], ["llm"], ["llm", "trian"], ["check", "--nope"]])
def test_an_unknown_command_or_option_is_bad_usage(argv: list[str]) -> None:
    assert main(argv) == 2


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["ladder", "--help"],
        ["check", "--help"],
        ["llm", "--help"],
        ["llm", "train", "--help"],
        ["report", "--help"],
    ],
)
def test_help_reads(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert "usage: covlaw" in shown
    assert "Args:" not in shown  # docstrings are parsed, not pasted


LISTED = ("scalarizers", "losses", "tasks", "rewards", "engines")
LISTINGS = [
    ["--version"],
    ["--help"],
    ["llm", "--help"],
    *([name, "--help"] for name in COMMANDS if name != "llm"),
    *(["llm", name, "--help"] for name in LLM_COMMANDS),
    ["find"],
    *([name] for name in (*LISTED, "statements", "rungs")),
    ["llm", "presets"],
]
HEAVY = ("torch", "transformers", "numpy", "sympy", "matplotlib", "jinja2")


@pytest.mark.parametrize("argv", LISTINGS, ids=" ".join)
def test_help_and_listings_load_neither_torch_nor_transformers(argv: list[str]) -> None:
    code = (
        f"import sys; from covlaw.ladder.cli import main; code = main({argv}); "
        f"print(code, [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stderr == "0 []\n"
    assert result.stdout


def test_the_statements_listed_are_those_of_the_registry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list reads sources; the registry imports them."""
    from covlaw.theory.statements import STATEMENTS

    monkeypatch.setenv("COLUMNS", "300")
    assert main(["statements"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    ours = {name: rest for name, rest in lines if name in STATEMENTS}
    assert list(ours) == list(STATEMENTS)
    assert all(ours[id].startswith(s.title) for id, s in STATEMENTS.items())


@pytest.mark.parametrize(("name", "place"), [*COMMANDS.items(), *LLM_COMMANDS.items()])
def test_the_list_of_commands_shows_each_one_s_own_first_line(name: str, place: str) -> None:
    module, _, function = place.partition(":")
    about = getattr(import_module(module), function).__doc__.splitlines()[0]
    assert about
    assert first_line(place) == about, name


def test_check_shows_both_sides_and_the_control(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "t19", "--instances", "5", "--proof"]) == 0
    shown = capsys.readouterr().out
    for part in ("T19", "holds", "measured", "predicted", "refuted", "residual 0"):
        assert part in shown


def test_an_unwritable_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["ladder", "--rungs", "bandit", "--out", str(tmp_path / "file" / "x")]) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_a_folder_of_other_things_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    for extra in ([], ["--fresh"]):
        assert main(["ladder", "--rungs", "bandit", "--out", str(tmp_path), *extra]) == 2
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    assert "choose another folder" in capsys.readouterr().err


def test_verbose_check_explains_a_statement_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "T10", "--instances", "40", "-v"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    statement = STATEMENTS["T10"]
    told = (statement.title, statement.explanation, statement.formula, *statement.assumptions)
    for words in told:
        assert " ".join(words.split()) in out
    assert "theory/statements/updates/small_gaps_certify_the_sign_of_the_change.py" in out
    assert "0 violations" in out
    assert f"“{statement.control.name}”: refuted by" in out


def test_verbose_check_says_why_a_statement_is_not_applicable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "T1", "--rung", "llm", "-v"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert STATEMENTS["T1"].not_applicable["llm"] in out
    assert "not applicable" in out


def test_find_prints_the_smallest_counterexample_exactly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["find", "natural gradient"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "F2 “The natural gradient always follows the covariance” is false" in out
    assert "π (1/3, 1/3, 1/3)" in out
    assert "Cov(r, s) = 1/9" in out
    assert "= -1/18" in out


def test_find_without_words_lists_the_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find"]) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"^F\d+", shown, re.MULTILINE) == list(CLAIMS)
    for claim in CLAIMS.values():
        assert claim.sentence in " ".join(shown.split())
