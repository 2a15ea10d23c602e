"""`samples.jsonl` of a run of ours: the completions that it kept, with rewards and advantage."""

from pathlib import Path
from typing import Any

from covlaw.plugins.logs.formats.lines import of_rows
from covlaw.plugins.logs.formats.table import Table
from covlaw.records.lines import read_records
from covlaw.records.runs import SAMPLES


def own_run(folder: Path) -> Table:
    """Read the samples of a run's folder, a row a completion."""
    rows: list[dict[str, Any]] = []
    for record in read_records(folder / SAMPLES):
        for sample in record["samples"]:
            rewards = sample["rewards"]
            rest = {key: sample[key] for key in ("prompt", "completion", "advantage", "length")}
            rows.append({"step": record["step"], **rest, **rewards})
    table = of_rows(rows, str(folder / SAMPLES), "covlaw")
    table.notes.append(
        f"{folder}: only the completions that the run kept for reading (setting samples) are here"
    )
    return table
