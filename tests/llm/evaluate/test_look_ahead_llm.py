"""The page's table of LLM runs against the look ahead is what the record holds."""

import json
from pathlib import Path

import pytest
from look_ahead_llm import compared, sampled, table
from small_runs import small_run

from covlaw.llm.train import train
from covlaw.records.runs import read_config

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "figures" / "data" / "look-ahead-llm" / "look_ahead_llm.jsonl"


def test_the_page_holds_the_recorded_table() -> None:
    rows = [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    assert table(rows) in (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")


def test_the_page_says_what_the_record_shows_of_fixed_weights() -> None:
    rows = [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    fixed = [row for row in rows if (row["scalarizer"], row["guard"]) == ("linear", "off")]
    assert len(fixed) >= 3
    for row in fixed:
        moved = [
            (a - s) * c for a, s, c in zip(row["ahead"], row["start"], row["change"], strict=True)
        ]
        assert min(moved) > 0
        assert row["law"][2] > 2 * row["law_se"][2]
        assert row["change"][2] < 0
        assert abs(sum(row["ahead"]) - sum(row["end"])) < 0.02
        assert 0.58 < row["ahead_kl"] / row["kl"] < 0.7


@pytest.mark.slow
def test_a_run_that_has_not_moved_is_where_it_began(policy_folder: Path, tmp_path: Path) -> None:
    run = train(small_run(policy_folder, tmp_path / "run", steps=1, learning_rate=1e-12, audits=0))
    config = read_config(run)
    base = sampled(str(policy_folder), 8, config)
    row = compared(run, base, config)
    assert abs(row["kl"]) < 1e-4
    assert row["ahead_kl"] < 0.05
    assert all(abs(c) < 4 * e + 1e-9 for c, e in zip(row["change"], row["change_se"], strict=True))
