"""MATH-500 is read in the paper's layout, from small files of the same shape and the real ones."""

import os
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow as pa
import pytest
from pyarrow import parquet

from covlaw.llm.rewards.accuracy import is_correct
from covlaw.llm.rewards.clarity import is_clear
from covlaw.llm.tasks import SPLITS, load_task
from covlaw.theory._numerics.errors import CovlawError

REPOSITORY = Path(__file__).parents[3]
DATA = Path(os.environ.get("COVLAW_DATA") or REPOSITORY.parent / "shared" / "data") / "math500"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"MATH-500 is not at {DATA}")


def row(question: str, answer: str) -> dict[str, Any]:
    return {
        "prompt": [{"content": question, "role": "user"}],
        "reward_model": {"ground_truth": answer, "style": "rule"},
        "level": 1,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in SPLITS:
        rows = [row(f"{split} {n}?", rf"\frac{{{n}}}{{7}}") for n in range(5)]
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"{split}.parquet")
    return tmp_path


def load(path: Path | str, split: str = "train", **options: Any) -> list[Any]:
    return load_task("math500", split, path=str(path), **options)


def test_prompts_and_references_are_read(folder: Path) -> None:
    problems = load(folder, "val")
    assert sorted(p.prompt for p in problems) == [f"val {n}?" for n in range(5)]
    assert all(rf"\frac{{{p.prompt[4]}}}{{7}}" == p.reference for p in problems)
    assert load(folder, "val", limit=2) == problems[:2]


def test_an_unreachable_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str, **__: str) -> str:
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(CovlawError, match=r"someone/math500.*no route\).*give a folder"):
        load("someone/math500")


def test_missing_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match=r"holds no train\.parquet"):
        load(tmp_path)
    with pytest.raises(CovlawError, match="no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(CovlawError, match="needs a path"):
        load_task("math500", "train")


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_text("not parquet")
    with pytest.raises(CovlawError, match="not a readable parquet"):
        load(tmp_path)
    parquet.write_table(pa.Table.from_pylist([{"question": "?"}]), file)
    with pytest.raises(CovlawError, match=r"lacks column 'prompt'; it has question"):
        load(tmp_path)
    parquet.write_table(pa.Table.from_pylist([{"prompt": "?", "reward_model": "7"}]), file)
    with pytest.raises(CovlawError, match=r"lacks column 'reward_model\.ground_truth'"):
        load(tmp_path)
    answered = {"prompt": 7, "reward_model": {"ground_truth": "7"}}
    parquet.write_table(pa.Table.from_pylist([answered]), file)
    with pytest.raises(CovlawError, match="list of turns"):
        load(tmp_path)


@needs_data
def test_the_papers_split() -> None:
    problems = {split: load(DATA, split) for split in SPLITS}
    assert {split: len(part) for split, part in problems.items()} == {
        "train": 300,
        "val": 100,
        "test": 100,
    }
    assert len({p.prompt for part in problems.values() for p in part}) == 500
    assert all(p.prompt and p.reference for part in problems.values() for p in part)


@needs_data
def test_every_human_solution_is_right_and_none_has_steps() -> None:
    """500 of 500 are right; no human solution has numbered steps, and clarity says so."""
    for split in SPLITS:
        for solved in parquet.read_table(DATA / f"{split}.parquet").to_pylist():
            assert is_correct(solved["solution"], solved["reward_model"]["ground_truth"])
            assert not is_clear(solved["solution"])
