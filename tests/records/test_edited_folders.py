"""Folders edited at random × commands: an answer or a sentence, never a traceback."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import write_llm_run

from covlaw.ladder.cli import main
from covlaw.records.files import write_text
from covlaw.theory._numerics.errors import CovlawError

ODD = (None, True, -1, 10**30, 1e300, "", "x" * 3000, [], [[]], {}, [None], {"a": None}, 0.5)
FILES = ("steps.jsonl", "samples.jsonl", "environment.json")
COMMANDS = (["report"], ["llm", "audit"], ["figures", "interference", "--run"], ["inspect"])


def edited(value: Any, rng: np.random.Generator) -> Any:
    """Go down at random, and there replace, remove, repeat or nest."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = list(value)[rng.integers(len(value))]
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: edited(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = int(rng.integers(len(value)))
        inner = [] if rng.random() < 0.15 else [edited(value[place], rng)]
        return value[:place] + inner + value[place + 1 :]
    return ODD[rng.integers(len(ODD))]


def damage(path: Path, rng: np.random.Generator) -> None:
    """Edit a record of a file, or its bytes."""
    lines = path.read_bytes().splitlines(keepends=True)
    k = int(rng.integers(len(lines)))
    match rng.integers(6):
        case 0:
            lines[k] = bytes(rng.integers(0, 256, size=40, dtype=np.uint8))
        case 1:
            lines[k] = lines[k][: rng.integers(len(lines[k]))]
        case 2:
            lines.insert(k, lines[int(rng.integers(len(lines)))])
        case _:
            lines[k] = json.dumps(edited(json.loads(lines[k]), rng)).encode() + b"\n"
    path.write_bytes(b"".join(lines))


def described(name: str, drawing: Any, run: Path, out: Path) -> list[Path]:
    drawing.describe(run)
    return [out / name]


@pytest.mark.parametrize("seed", range(80))
def test_an_edited_run_gives_an_answer_or_a_sentence(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covlaw.ladder.report.page.drawable", lambda run: [])
    monkeypatch.setattr("covlaw.figures._drawing.render._save", described)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(seed)
    run = write_llm_run(tmp_path / "run", steps=8)
    damage(run / FILES[seed % len(FILES)], rng)
    for command in COMMANDS:
        assert main([*command, str(run)]) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    kept = tmp_path / "page.html"
    kept.mkdir()
    (kept / "inside").write_text("precious")
    with pytest.raises(CovlawError, match="cannot write to"):
        write_text(kept, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (kept / "inside").read_text() == "precious"
