"""What docs/inspect.md says of records is what they say."""

import json
from pathlib import Path
from statistics import median

from said import Said

from covlaw.records.lines import read_records

ROOT = Path(__file__).parents[1]
DATA = ROOT / "figures" / "data"
PAGE = Said("docs/inspect.md")


def test_the_distances_are_the_records() -> None:
    records = read_records(DATA / "ladder" / "look_ahead.jsonl")
    rows = [row for row in records if not row.get("path")]
    shared = [row for row in rows if row["world"] == "transformer" and row["algorithm"] == "linear"]
    plain, guarded = (
        median(row["room"] for row in shared if row["guard"] == guard)
        for guard in ("none", "guard")
    )
    largest = max(row["room"] for row in rows)
    said = (
        f"is {largest:.3f} of its range at most, in the median on transformers {plain:.4f} for "
        f"equal weights and {guarded:.4f} with the guard"
    )
    assert said.replace(" 0.", " .") in PAGE


def test_the_falls_that_were_announced_are_the_records() -> None:
    found = json.loads((DATA / "study-llm" / "verdict.json").read_text(encoding="utf-8"))["alarms"]
    law, exact = (found[n]["falls"] - found[n]["missed"] for n in ("law", "exact_change"))
    assert f"it announced {law} of {found['law']['falls']} clear falls" in PAGE
    assert f"([audits](audits.md)), announced {exact}." in PAGE
