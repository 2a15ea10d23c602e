"""Damaged folders × commands: a sentence that names the place, never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runs import write_ladder, write_llm_run, write_study

from covlaw.ladder.cli import main

Damage = Callable[[Path], None]
STEPS = "steps.jsonl"


def changed(line: int, change: Callable[[dict[str, Any]], object], name: str = STEPS) -> Damage:
    """Edit the record of a line (from 1)."""

    def apply(run: Path) -> None:
        lines = (run / name).read_text().splitlines()
        record = json.loads(lines[line - 1])
        change(record)
        lines[line - 1] = json.dumps(record)
        (run / name).write_text("\n".join(lines) + "\n")

    return apply


def raw(line: int, content: bytes, name: str = STEPS) -> Damage:
    """Put bytes in a line's place."""

    def apply(run: Path) -> None:
        lines = (run / name).read_bytes().splitlines()
        lines[line - 1] = content
        (run / name).write_bytes(b"\n".join(lines) + b"\n")

    return apply


def whole(name: str, content: bytes) -> Damage:
    """Replace a file."""
    return lambda run: (run / name).write_bytes(content) and None


def folder(name: str) -> Damage:
    """A folder where a file belongs."""

    def apply(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return apply


def lines_moved(order: Callable[[list[bytes]], list[bytes]]) -> Damage:
    """Repeat, drop or swap lines of steps.jsonl."""

    def apply(run: Path) -> None:
        lines = (run / STEPS).read_bytes().splitlines(keepends=True)
        (run / STEPS).write_bytes(b"".join(order(lines)))

    return apply


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set a field given as "audits.0.law.se"."""

    def change(record: Any) -> None:
        *parents, last = [int(k) if k.isdigit() else k for k in path.split(".")]
        for key in parents:
            record = record[key]
        record[last] = value

    return change


def without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(record: Any) -> None:
        *parents, last = [int(k) if k.isdigit() else k for k in path.split(".")]
        for key in parents:
            record = record[key]
        del record[last]

    return change


HUGE, DEEP = b"1" * 5000, b"[" * 100_000
REFUSED: dict[str, tuple[Damage, str]] = {
    # a field of steps.jsonl
    "schema of another version": (changed(3, put("schema", 7)), "line 3: schema is 7, not 1"),
    "schema a text": (changed(1, put("schema", "1")), "line 1: schema is '1', not 1"),
    "no schema": (changed(2, without("schema")), "line 2: schema is missing"),
    "no step": (changed(2, without("step")), "line 2: step is missing"),
    "step negative": (changed(2, put("step", -1)), "line 2: step is -1"),
    "step a fraction": (changed(2, put("step", 1.5)), "line 2: step is 1.5"),
    "step true": (changed(2, put("step", True)), "line 2: step is True"),
    "step huge": (changed(2, put("step", 10**30)), "line 2: step is 1000"),
    "no objectives": (changed(4, without("objectives")), "line 4: objectives is missing"),
    "objectives null": (changed(4, put("objectives", None)), "objectives is None"),
    "objectives empty": (changed(1, put("objectives", [])), "objectives is []"),
    "objectives twice": (changed(1, put("objectives", ["a", "a", "b"])), "different names"),
    "objectives numbers": (changed(1, put("objectives", [1, 2, 3])), "objectives[0] is 1"),
    "means too short": (changed(5, put("reward_mean", [0.5])), "reward_mean has 1 entries for 3"),
    "means too long": (changed(5, put("reward_mean", [0.5] * 4)), "reward_mean has 4 entries"),
    "means a text": (changed(5, put("reward_mean", "abc")), "reward_mean is 'abc', not a list"),
    "a mean a text": (changed(5, put("reward_mean", [0, "x", 0])), "reward_mean[1] is 'x'"),
    "a mean beyond floats": (changed(5, put("reward_mean", [0, 10**400, 0])), "reward_mean[1]"),
    "a mean an object": (changed(5, put("reward_mean", [0, {}, 0])), "reward_mean[1] is {}"),
    "no errors": (changed(5, without("reward_se")), "line 5: reward_se is missing"),
    "no weights": (changed(5, without("weights")), "line 5: weights is missing"),
    "weights too short": (changed(5, put("weights", [1.0])), "weights has 1 entries"),
    "no scalarizer": (changed(5, without("scalarizer")), "line 5: scalarizer is missing"),
    "scalarizer a list": (changed(5, put("scalarizer", [])), "scalarizer is []"),
    "no seed": (changed(5, without("seed")), "line 5: seed is missing"),
    "seed a text": (changed(5, put("seed", "zero")), "seed is 'zero'"),
    "length a text": (changed(5, put("length_mean", "long")), "length_mean is 'long'"),
    # an audit
    "no audits": (changed(1, without("audits")), "line 1: audits is missing"),
    "audits null": (changed(1, put("audits", None)), "audits is None"),
    "an audit a number": (changed(1, put("audits", [3])), "audits[0] is 3, not an object"),
    "an audit without sample": (changed(1, without("audits.0.sample")), "audits[0].sample is mis"),
    "an unknown sample": (changed(1, put("audits.0.sample", "other")), "audits[0].sample is 'oth"),
    "an audit without law": (changed(1, without("audits.0.law")), "audits[0].law is missing"),
    "a law without error": (changed(1, without("audits.0.law.se")), "audits[0].law.se is missing"),
    "a law null": (changed(1, put("audits.0.law", None)), "audits[0].law is None"),
    "a law too short": (changed(1, put("audits.0.law.estimate", [1])), "law.estimate has 1 entr"),
    "a scale a text": (changed(1, put("audits.0.law.scale", "1")), "audits[0].law.scale is '1'"),
    "an audit unmeasured": (changed(6, without("audits.1.measured")), "audits[1].measured is mis"),
    "a budget short of a term": (changed(1, without("audits.0.budget.tilt")), "budget.tilt is mis"),
    "a budget of two": (changed(1, put("audits.0.budget.f0", [0, 0])), "budget.f0 has 2 entries"),
    # the run as a whole
    "a step twice": (lines_moved(lambda k: [*k[:4], k[3], *k[4:]]), "line 5: step 3 stands again"),
    "a step missing": (lines_moved(lambda k: [*k[:4], *k[5:]]), "line 5: step 5 follows 4 steps"),
    "the first step missing": (lines_moved(lambda k: k[1:]), "line 1: step 1 follows 0 steps"),
    "steps swapped": (lines_moved(lambda k: [k[0], k[2], k[1]]), "line 3: step 1 stands after"),
    "objectives change": (changed(7, put("objectives", ["a", "b", "c"])), "line 7: objectives is"),
    "another scalarizer": (changed(7, put("scalarizer", "ctwa")), "line 7: scalarizer is not that"),
    "another seed": (changed(7, put("seed", 9)), "line 7: seed is not that of line 1"),
    # whole files
    "steps a folder": (folder(STEPS), "Is a directory"),
    "config a folder": (folder("config.toml"), "Is a directory"),
    "config no UTF-8": (whole("config.toml", b"\xff\xfe"), "not valid TOML"),
    "config no TOML": (whole("config.toml", b"seed = = 1"), "not valid TOML"),
    "config too deep": (whole("config.toml", b"a = " + DEEP), "not valid TOML"),
    "config's seed a text": (whole("config.toml", b'seed = "x"'), "seed is 'x'"),
    "config's worst rewards of two": (whole("config.toml", b"reward_worst = [0, 0]"), "2 entries"),
    "every line unreadable": (whole(STEPS, b"a\nb\n"), "line 1 is left out"),
}
LEFT_OUT: dict[str, tuple[Damage, str]] = {
    "null": (raw(3, b"null"), "line 3 is left out: no object but None"),
    "a list": (raw(3, b"[1, 2]"), "line 3 is left out: no object"),
    "a number": (raw(3, b"17"), "line 3 is left out: no object but 17"),
    "empty": (raw(3, b""), "line 3 is left out: not JSON"),
    "cut short": (raw(3, b'{"schema": 1, "st'), "line 3 is left out: not JSON"),
    "garbage": (raw(3, b"\x00\x01garbage"), "line 3 is left out: not JSON"),
    "no UTF-8": (raw(3, b'{"a": "\xff\xfe"}'), "line 3 is left out: not UTF-8"),
    "a huge number": (raw(3, b'{"step": ' + HUGE + b"}"), "line 3 is left out: a number too long"),
    "too deep": (raw(3, DEEP), "line 3 is left out: nested too deeply"),
    "NaN": (raw(3, b'{"step": NaN}'), "line 3 is left out: a number too long or not finite"),
}
COMMANDS = {"report": ["report"], "audit": ["llm", "audit"], "figures": ["figures", "interference"]}


def run_command(command: str, run: Path, out: Path) -> int:
    place = ["--run", str(run), "--out", str(out)] if command == "figures" else [str(run)]
    return main([*COMMANDS[command], *place])


def described(name: str, drawing: Any, run: Path, out: Path) -> list[Path]:
    drawing.describe(run)
    return [out / name]


@pytest.fixture
def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is read as ever; only the drawing, a second each, is left out."""
    monkeypatch.setattr("covlaw.ladder.report.page.drawable", lambda run: [])
    monkeypatch.setattr("covlaw.figures._drawing.render._save", described)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_llm_run(tmp_path / "run", steps=12)


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_run_is_refused_in_a_sentence(
    name: str, command: str, run: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    damage, message = REFUSED[name]
    damage(run)
    assert run_command(command, run, run.parent) == 2
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    if not (command == "figures" and name.startswith("every line")):
        assert message in shown + caplog.text


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_line_that_is_no_record_is_named_and_the_others_are_read(
    name: str, command: str, run: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    damage, message = LEFT_OUT[name]
    damage(run)
    assert run_command(command, run, run.parent) == 0
    assert message in caplog.text
    assert "Traceback" not in capsys.readouterr().err


JSON = ("verdicts.json", "summary.json", "environment.json")
FILES: dict[str, tuple[str, Damage, str]] = {
    **{f"{n} null": (n, whole(n, b"null"), "no object but None") for n in JSON},
    **{f"{n} cut": (n, whole(n, b'{"schema": 1, "ver'), "not JSON") for n in JSON},
    **{f"{n} no UTF-8": (n, whole(n, b"\xff"), "not UTF-8") for n in JSON},
    **{f"{n} too deep": (n, whole(n, DEEP), "nested too deeply") for n in JSON},
    **{f"{n} a folder": (n, folder(n), "Is a directory") for n in JSON},
    "verdicts of another version": (
        JSON[0], whole(JSON[0], b'{"schema": 2}'), "schema is 2, not 1"
    ),
    "verdicts without verdicts": (
        JSON[0], lambda run: edit(run / JSON[0], without("verdicts")), "verdicts is missing"
    ),
    "a verdict without n": (
        JSON[0], lambda run: edit(run / JSON[0], without("verdicts.0.n")), "verdicts[0].n is mis"
    ),
    "a verdict a number": (
        JSON[0], lambda run: edit(run / JSON[0], put("verdicts.1", 3)), "verdicts[1] is 3"
    ),
    "a summary without table": (
        JSON[1], lambda run: edit(run / JSON[1], without("table")), "table is missing"
    ),
    "a cell without runs": (
        JSON[1], lambda run: edit(run / JSON[1], without("table.2.runs")), "table[2].runs is mis"
    ),
    "a share a text": (
        JSON[1],
        lambda run: edit(run / JSON[1], put("table.0.sacrifices.mean", "many")),
        "table[0].sacrifices.mean is 'many'",
    ),
    "a summary of nothing": (
        JSON[1], lambda run: edit(run / JSON[1], put("table", [])), "no finished run"
    ),
}  # fmt: skip


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_ladder_or_study_is_refused_in_a_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, damage, message = FILES[name]
    write = write_study if file == "summary.json" else write_ladder
    damage(write(tmp_path / "run"))
    assert main(["report", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert file in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("figure", "file"),
    [("law_budget", "budgets.jsonl"), ("geometry", "geometry.jsonl"),
     ("group_size", "group_size.jsonl"), ("clipping", "clipping.jsonl"),
     ("remainder", "remainder.jsonl"), ("ctwa_portrait", "ctwa.jsonl"),
     ("pl_rates", "convergence.jsonl"), ("look_ahead", "look_ahead.jsonl")],
)  # fmt: skip
@pytest.mark.parametrize("line", [b'{"kind": 3}', b'{"a": [1, {"b": null}]}', b"null"])
def test_a_figure_says_which_record_it_cannot_be_drawn_of(
    figure: str, file: str, line: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_ladder(tmp_path / "run", seeds=1)
    (run / file).write_bytes(line + b"\n")
    assert main(["figures", figure, "--run", str(run), "--out", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert file in shown
    assert "Traceback" not in shown
