"""A run's folder survives kills and refuses to mix runs."""

import json
from pathlib import Path

import pytest

from covlaw.llm import records
from covlaw.theory.errors import CovlawError


def test_json_has_null_for_what_is_not_finite() -> None:
    text = records.to_json({"a": [float("nan"), 1.0], "b": {"c": float("-inf")}})
    assert json.loads(text) == {"a": [None, 1.0], "b": {"c": None}}


def test_the_same_run_is_accepted_and_another_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    records.open_run(run, {"seed": 1, "rewards": ["a"]})
    records.open_run(run, {"seed": 1, "rewards": ["a"]})
    with pytest.raises(CovlawError, match="seed is 1 there, 2 here"):
        records.open_run(run, {"seed": 2, "rewards": ["a"]})
    assert records.read_config(run) == {"seed": 1, "rewards": ["a"]}


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(CovlawError, match=r"thesis\.tex"):
        records.open_run(tmp_path, {"seed": 1})
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(CovlawError, match="cannot write to"):
        records.open_run(tmp_path / "run", {})


def test_a_line_cut_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    for step in range(3):
        records.append_line(path, {"step": step})
    with path.open("a") as file:
        file.write('{"step": 3, "rew')
    assert [r["step"] for r in records.read_lines(path)] == [0, 1, 2]
    records.cut_back(path, 2)
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n'


def test_a_kill_in_the_middle_of_a_character_loses_no_earlier_line(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    records.append_line(path, {"step": 0, "objectives": ["clarté"]})
    with path.open("ab") as file:
        file.write('{"step": 1, "objectives": ["clarté'.encode()[:-1])
    assert [r["objectives"] for r in records.read_lines(path)] == [["clarté"]]


def test_a_broken_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match="holds no run"):
        records.read_config(tmp_path)
    (tmp_path / records.CONFIG).write_text("seed = = 1")
    with pytest.raises(CovlawError, match="not valid TOML"):
        records.read_config(tmp_path)
