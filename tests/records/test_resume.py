"""What is kept of damaged records when a run is resumed."""

import json
from pathlib import Path

import pytest
from fake_runs import write_llm_run

from covlaw.records.lines import ASIDE, cut_back, read_records, recorded_steps
from covlaw.theory._numerics.errors import CovlawError


def test_a_garbage_line_hides_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    kept = [json.dumps({"schema": 1, "step": k, "samples": []}).encode() + b"\n" for k in range(5)]
    path.write_bytes(b"".join([*kept[:2], b"\xffgarbage\n", *kept[2:], b'{"step": 5, "sam']))
    assert cut_back(path, 4) == 4
    assert path.read_bytes() == b"".join(kept[:4])
    (aside,) = map(json.loads, (tmp_path / f"samples.jsonl{ASIDE}").read_text().splitlines())
    assert (aside["line"], aside["text"]) == (3, "\\xffgarbage")
    assert cut_back(path, 4) == 4  # what was set aside is not set aside again
    assert len((tmp_path / f"samples.jsonl{ASIDE}").read_text().splitlines()) == 1


def test_a_gap_is_accepted_where_its_line_was_set_aside(tmp_path: Path) -> None:
    path = write_llm_run(tmp_path / "run", steps=6) / "steps.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"null\n", *lines[3:]]))
    assert recorded_steps(path) == 6
    assert cut_back(path, 5) == 4
    assert [record["step"] for record in read_records(path)] == [0, 1, 3, 4]
    path.with_name(path.name + ASIDE).unlink()
    with pytest.raises(CovlawError, match="line 3: step 3 follows 2 steps: one is missing"):
        read_records(path)
