"""The notebook runs as it stands, and prints what it shows."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_notebook_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason="the log is Parquet: pip install 'covlaw[logs]'")
    monkeypatch.chdir(EXAMPLES)
    cells = json.loads((EXAMPLES / "inspect_a_run.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec("".join(cell["source"]), names)  # noqa: S102 - our own notebook
        shown = "".join(line for output in cell["outputs"] for line in output["text"])
        assert printed.getvalue() == shown
    verdict = names["found"].headline[0]
    assert verdict.startswith("clear is being traded away since step 1")
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8").replace("\n> ", " ")
    assert verdict in readme


def test_the_shipped_log_is_small() -> None:
    files = list((EXAMPLES / "trl_completions").glob("*.parquet"))
    assert len(files) == 24
    assert sum(file.stat().st_size for file in files) < 200_000
