"""Problems from any JSONL or Parquet file with named columns; mistakes name what there is."""

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from covlaw.llm.tasks import SPLITS, load_task
from covlaw.llm.tasks.problem import Conversation, conversation
from covlaw.theory._numerics.errors import CovlawError

COLUMNS = {"prompt": "question", "answer": "solution.value"}
BOXED = {"suffix": r" Put the answer in \boxed{}.", "prefix": "Q: "}


def rows(split: str = "x", count: int = 5) -> list[dict[str, Any]]:
    return [{"question": f"{split} {n}?", "solution": {"value": n}} for n in range(count)]


def write(file: Path, content: list[dict[str, Any]]) -> Path:
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        parquet.write_table(pa.Table.from_pylist(content), file)
    return file


def load(kind: str, path: Path | None, split: str = "train", **options: str) -> list[Any]:
    return load_task(
        kind, split, path=None if path is None else str(path), options={**COLUMNS, **options}
    )


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_folder_has_a_file_for_each_split(kind: str, tmp_path: Path) -> None:
    for split in SPLITS:
        write(tmp_path / f"{split}.{kind}", rows(split))
    problems = load(kind, tmp_path, "val", **BOXED)
    assert sorted(p.prompt for p in problems) == [
        rf"Q: val {n}? Put the answer in \boxed{{}}." for n in range(5)
    ]
    assert all(p.prompt.split()[2] == f"{p.reference}?" for p in problems)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_single_file_is_parted_once_and_for_all(kind: str, tmp_path: Path) -> None:
    file = write(tmp_path / f"all.{kind}", rows(count=12))
    parts = [{p.prompt for p in load(kind, file, split)} for split in SPLITS]
    assert [len(part) for part in parts] == [8, 2, 2]  # ⌊12/5⌋ held out twice
    assert len(set.union(*parts)) == 12
    assert parts == [{p.prompt for p in load(kind, file, split)} for split in SPLITS]


def test_a_column_name_with_a_dot_comes_before_a_field(tmp_path: Path) -> None:
    row = {"question": "?", "solution.value": "flat", "solution": {"value": "nested"}}
    (problem,) = load("jsonl", write(tmp_path / "train.jsonl", [row]).parent)
    assert problem.reference == "flat"


TURNS = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "3 + 4?"}]


def test_turns_keep_their_roles_and_read_as_text(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [{"question": TURNS, "solution": {"value": 7}}])
    prompt = load("jsonl", tmp_path)[0].prompt
    assert prompt == "be brief\n\n3 + 4?"
    assert isinstance(prompt, Conversation)
    assert prompt.turns == (("system", "be brief"), ("user", "3 + 4?"))
    assert pickle.loads(pickle.dumps(prompt)).turns == prompt.turns  # noqa: S301 (our own)


def test_prefix_and_suffix_stand_around_the_last_turn() -> None:
    prompt = conversation(TURNS).around("Q: ", " Answer in a box.")
    assert prompt.turns == (("system", "be brief"), ("user", "Q: 3 + 4? Answer in a box."))


def test_an_answer_in_the_prompt_is_refused(tmp_path: Path) -> None:
    turns = [*TURNS, {"role": "assistant", "content": "It is 7."}]
    write(tmp_path / "train.jsonl", [{"question": turns, "solution": {"value": 7}}])
    with pytest.raises(CovlawError, match=r"'question': its last turn is the assistant's, 'It is"):
        load("jsonl", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "?", "id": 1}\n', r"lacks column 'question'; it has text, id: name the col"),
        ('{"question": "?", "solution": {}}', "lacks column 'solution.value'"),
        ('{"question": "?", "solution": {"value": null}}', "'solution.value' is empty in row"),
        ('{"question": 3, "solution": {"value": 3}}', "must be text or a list of turns"),
        ('{"question": "?"}\n{"question"\n', "line 2 is not JSON"),
        ("[1, 2]\n", r"line 1 is no object with named columns"),
        ("\n\n", "has no problems"),
    ],
)
def test_a_file_of_another_form_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(content)
    with pytest.raises(CovlawError, match=message):
        load("jsonl", tmp_path)


def test_missing_places_and_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match=r"task 'jsonl' needs a path: .*one jsonl file"):
        load("jsonl", None)
    with pytest.raises(CovlawError, match=r"holds no train\.jsonl"):
        load("jsonl", tmp_path)
    with pytest.raises(CovlawError, match="no folder or file"):
        load("jsonl", tmp_path / "nowhere")
    with pytest.raises(CovlawError, match="did you mean prompt"):
        load("jsonl", tmp_path, promt="x")
    (tmp_path / "train.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(CovlawError, match="not a readable text file"):
        load("jsonl", tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), ["5"], {"a": 5}, True, "", " "])
def test_what_is_no_reference_is_refused_with_its_row(value: object, tmp_path: Path) -> None:
    row = {"question": "how many?", "solution": {"value": value}}
    with pytest.raises(CovlawError, match=r"column 'solution\.value'.*in row.*how many"):
        load("jsonl", write(tmp_path / "train.jsonl", [row]).parent)


def test_a_rationale_gives_its_last_marked_line(tmp_path: Path) -> None:
    texts = ["He has 3 + 4 = 7.\n#### 7", "#### 1\nNo:\n####  1,200 ", "7 #### 8", "5"]
    given = [{"question": str(n), "solution": {"value": t}} for n, t in enumerate(texts)]
    folder = write(tmp_path / "train.jsonl", given).parent
    found = sorted(load("jsonl", folder), key=lambda p: p.prompt)
    assert [p.reference for p in found] == ["7", "1,200", "7 #### 8", "5"]


def test_a_pattern_finds_the_reference(tmp_path: Path) -> None:
    row = {"question": "?", "solution": {"value": "answer: 5, no, answer: 6."}}
    folder = write(tmp_path / "train.jsonl", [row]).parent
    assert load("jsonl", folder, answer_pattern=r"answer: (\d+)")[0].reference == "6"
    assert load("jsonl", folder, answer_pattern=r"\d+")[0].reference == "6"
    with pytest.raises(CovlawError, match="finds nothing"):
        load("jsonl", folder, answer_pattern="result")
    with pytest.raises(CovlawError, match="no regular expression"):
        load("jsonl", folder, answer_pattern="(")
