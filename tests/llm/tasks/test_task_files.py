"""Every layout of rows is read alike, and what is no row is named with its place."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from table_files import ROWS, read, write

from covlaw.llm.tasks import SPLITS
from covlaw.theory._numerics.errors import CovlawError

LINE = '{"prompt": "1 + 1 = ?", "answer": "2"}'


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet", "arrow"])
def test_every_layout_of_a_kind_holds_the_same_rows(kind: str, tmp_path: Path) -> None:
    whole = {(row["prompt"], row["answer"]) for row in ROWS}
    write(tmp_path / "plain" / f"train.{kind}", ROWS)
    write(tmp_path / "one" / f"all.{kind}", ROWS)
    for place in ("shards/train", "data/data/train", "saved/train/data", "undivided/data"):
        for k in (0, 1):
            write(tmp_path / f"{place}-0000{k}-of-00002.{kind}", ROWS[k * 15 : k * 15 + 15])
    for layout in ("plain", "shards", "data", "saved"):
        assert read(kind, tmp_path / layout) == whole
    parts = [read(kind, tmp_path / "one" / f"all.{kind}", split) for split in SPLITS]
    assert set.union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)
    assert [read(kind, tmp_path / "undivided", split) for split in SPLITS] == parts


def test_a_missing_shard_is_said(tmp_path: Path) -> None:
    for k in (0, 2):
        write(tmp_path / f"train-0000{k}-of-00003.jsonl", ROWS)
    with pytest.raises(CovlawError, match=r"2 shards .* not one whole set"):
        read("jsonl", tmp_path)


def test_an_arrow_file_is_read_as_a_stream_is(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(str(tmp_path / "train.arrow"), table.schema) as file:
        file.write_table(table)
    assert len(read("arrow", tmp_path)) == len(ROWS)


def test_rows_of_one_prompt_stay_in_one_split(tmp_path: Path) -> None:
    """Ten prompts five times: by row nearly every prompt of val would be in train."""
    rows = [{"prompt": f"q{k % 10}", "answer": str(k)} for k in range(50)]
    write(tmp_path / "all.jsonl", rows)
    parts = [read("jsonl", tmp_path / "all.jsonl", split) for split in SPLITS]
    prompts = [{prompt for prompt, _ in part} for part in parts]
    assert [len(part) for part in prompts] == [6, 2, 2]
    assert not prompts[0] & prompts[1] | prompts[0] & prompts[2] | prompts[1] & prompts[2]
    assert sum(map(len, parts)) == 50


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\r"])
def test_only_a_line_feed_ends_a_line(mark: str, tmp_path: Path) -> None:
    row = {"prompt": f"a{mark}b", "answer": "2"}
    text = json.dumps(row, ensure_ascii=mark in "\x0b\x0c\r")
    (tmp_path / "train.jsonl").write_bytes(f"{text}\r\n{LINE}\n".encode())
    assert read("jsonl", tmp_path) == {(f"a{mark}b", "2"), ("1 + 1 = ?", "2")}


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(kind: str, tmp_path: Path) -> None:
    write(tmp_path / f"train.{kind}", ROWS)
    plain = read(kind, tmp_path)
    file = tmp_path / f"train.{kind}"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read(kind, tmp_path) == plain


BAD: dict[str, tuple[str, bytes, str]] = {
    "no UTF-8": ("jsonl", b"\xff\xfe", "not a readable text file"),
    "no JSON": ("jsonl", LINE.encode() + b"\n{oops\n", "line 2 is not JSON"),
    "a list": ("jsonl", b"[1]", "line 1 is no object with named columns"),
    "null": ("jsonl", b"null", "line 1 is no object"),
    "deep": ("jsonl", b"[" * 100_000, "line 1 is nested too deeply"),
    "5,000 digits": (
        "jsonl",
        b'{"prompt": "a", "answer": ' + b"7" * 5000 + b"}",
        "line 1 is not J",
    ),
    "half a pair": ("jsonl", rb'{"prompt": "a\ud800", "answer": "1"}', "half a surrogate pair"),
    "half a pair answered": ("jsonl", rb'{"prompt": "a", "answer": "\udc00"}', "half a surrogate"),
    "an object for an array": ("json", LINE.encode(), "no array of objects"),
    "an entry": ("json", b"[1]", "entry 0 is no object"),
    "deep array": ("json", b"[" * 100_000, "nested too deeply"),
    "a field too many": ("csv", b"prompt,answer\na,b,c\n", "line 2: a field for each of the 2"),
    "a field too few": ("csv", b"prompt,answer\na\n", "line 2: a field for each of the 2"),
    "an open quote": ("csv", b'prompt,answer\n"a,b\n', "is not CSV"),
    "empty": ("csv", b"", "has no problems"),
    "no parquet": ("parquet", b"PAR1", "not a readable parquet file"),
    "no arrow": ("arrow", b"ARROW1", "not a readable arrow file"),
    "turns of lists": ("jsonl", b'{"prompt": [[]], "answer": "1"}', "list of turns with content"),
    "prompt a number": ("jsonl", b'{"prompt": 3, "answer": "1"}', "list of turns with content"),
    **{
        f"reference {name}": ("jsonl", f'{{"prompt": "a", "answer": {name}}}'.encode(), message)
        for name, message in {
            "null": "holds None where",
            "NaN": "holds nan where",
            "Infinity": "holds inf where",
            "[1]": r"holds \[1\] where",
            '{"a": 1}': "holds {'a': 1} where",
            "true": "holds True where",
            '""': "is empty in row",
            '"  "': "is empty in row",
        }.items()
    },
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_row_is_named(name: str, tmp_path: Path) -> None:
    kind, content, message = BAD[name]
    (tmp_path / f"train.{kind}").write_bytes(content)
    with pytest.raises(CovlawError, match=message):
        read(kind, tmp_path)
