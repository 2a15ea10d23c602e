"""Rows with named columns, written as every kind of file that a task reads."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from covlaw.llm.tasks import load_task

ROWS = [{"prompt": f"{k} + 1 = ?", "answer": str(k + 1)} for k in range(30)]


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    match file.suffix:
        case ".jsonl":
            file.write_text("\n".join(json.dumps(row) for row in rows))
        case ".json":
            file.write_text(json.dumps(rows))
        case ".csv":
            file.write_text(
                "prompt,answer\n" + "".join(f"{r['prompt']},{r['answer']}\n" for r in rows)
            )
        case ".parquet":
            parquet.write_table(pa.Table.from_pylist(rows), file)
        case ".arrow":
            table = pa.Table.from_pylist(rows)
            with pa.ipc.new_stream(str(file), table.schema) as stream:
                stream.write_table(table)


def read(kind: str, path: Path, split: str = "train", **options: Any) -> set[tuple[str, str]]:
    found = load_task(kind, split, path=str(path), options=options)
    return {(p.prompt, p.reference) for p in found}
