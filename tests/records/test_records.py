"""A run's folder survives kills and refuses to mix runs."""

import json
from pathlib import Path

import pytest

from covlaw.records import runs as records
from covlaw.theory._numerics.errors import CovlawError


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
    with pytest.raises(CovlawError, match="is a file: name a folder"):
        records.open_run(tmp_path / "run", {})


def test_a_line_cut_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    for step in range(3):
        records.append_line(path, {"step": step})
    with path.open("a") as file:
        file.write('{"step": 3, "rew')
    assert [r["step"] for r in records.read_lines(path)] == [0, 1, 2]
    assert records.cut_back(path, 2) == 2
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n'
    assert records.cut_back(path, 5) == 2
    assert records.cut_back(tmp_path / "none.jsonl", 5) == 0


def test_cutting_back_keeps_what_was_written_byte_for_byte(tmp_path: Path) -> None:
    path, line = tmp_path / "steps.jsonl", '{"step":0,   "mean": 1.50}\n'
    path.write_text(line + '{"step": 1}')  # whole but for its end: the next line would join it
    assert records.cut_back(path, 9) == 1
    assert path.read_text() == line


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


def test_a_folder_killed_before_its_config_is_new(tmp_path: Path) -> None:
    (tmp_path / records.ENVIRONMENT).write_text("{}")
    (tmp_path / ".config.toml.7.tmp").write_text("se")
    records.open_run(tmp_path, {"seed": 1})
    assert records.read_config(tmp_path) == {"seed": 1}


def test_the_environment_names_the_device_of_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"a GPU, {device}")
    for device, name in (("cpu", "cpu"), ("cuda:1", "a GPU, cuda:1"), ("cuda", "a GPU, cuda")):
        records.start_run(tmp_path, {}, device)
        assert json.loads((tmp_path / records.ENVIRONMENT).read_text())["device"] == name


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match="cannot write to /dev/full: No space left on device"):
        records.append_line(Path("/dev/full"), {"step": 0})
