"""What docs/inspect.md says of the distance to the frontier is what the record says."""

from pathlib import Path
from statistics import median

from covlaw.records.lines import read_records

ROOT = Path(__file__).parents[1]


def test_the_distances_are_the_records() -> None:
    records = read_records(ROOT / "figures" / "data" / "ladder" / "look_ahead.jsonl")
    rows = [row for row in records if not row.get("path")]
    shared = [row for row in rows if row["world"] == "transformer" and row["algorithm"] == "linear"]
    plain, guarded = (
        median(row["room"] for row in shared if row["guard"] == guard)
        for guard in ("none", "guard")
    )
    largest = max(row["room"] for row in rows)
    page = " ".join((ROOT / "docs" / "inspect.md").read_text(encoding="utf-8").split())
    said = (
        f"is {largest:.3f} of its range at most, in the median on transformers {plain:.4f} for "
        f"equal weights and {guarded:.4f} with the guard"
    )
    assert said.replace(" 0.", " .") in page
