"""CTWA's portrait claims what its records hold, and says so when they contradict the theory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covlaw.figures._drawing.render import recorded
from covlaw.figures.ctwa_portrait import describe, downset, draw, reachable
from covlaw.records.lines import read_records

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return read_records(recorded() / "ctwa.jsonl")


def title(records: list[dict[str, Any]], folder: Path) -> str:
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "ctwa.jsonl").write_text(text)
    return describe(folder).title


def changed(records: list[dict[str, Any]], change: Change, **fields: Any) -> list[dict[str, Any]]:
    [chosen] = [r for r in records if fields.items() <= r.items()]
    change(chosen)
    return records


def test_the_title_counts_starts(records: list[dict[str, Any]], tmp_path: Path) -> None:
    own = title(records, tmp_path)
    assert own.startswith("Of 40 starts CTWA meets a reachable target from 40 with no std (raw), ")
    assert own.endswith("; 25 with global std")
    what = {"kind": "starts", "signal": "pooled", "target": "inside"}
    fewer = changed(records, lambda r: r.update(reached=7), **what)
    assert title(fewer, tmp_path).endswith("; 7 with pooled std")


def test_a_contradiction_comes_first(records: list[dict[str, Any]], tmp_path: Path) -> None:
    what = {"kind": "starts", "signal": "grpo", "target": "outside"}
    odd = changed(records, lambda r: r.update(reached=1), **what)
    assert title(odd, tmp_path) == "CTWA meets targets that no weights reach, with per-prompt std"


def test_weights_below_their_floor_are_said(records: list[dict[str, Any]], tmp_path: Path) -> None:
    def stall(record: dict[str, Any]) -> None:
        record["log_weights"] = [record["log_weights"][0]] * len(record["step"])

    odd = changed(records, stall, kind="path", signal="grpo", target="outside")
    assert title(odd, tmp_path) == "CTWA's weights grow less than T37 certifies"


def test_reachable_is_read_off_the_frontier(records: list[dict[str, Any]]) -> None:
    for signal in ("raw", "grpo", "whitened", "pooled"):
        assert reachable(records, signal, [0.75, 0.35])
        assert reachable(records, signal, [0.95, 0.75]) == (signal == "raw")


def test_what_lies_below_a_point_of_the_frontier_is_grey() -> None:
    edge, height = downset(np.array([[1.0, 0.2], [0.5, 0.9], [0.2, 0.4]]))
    assert edge.tolist() == [1.0, 0.5, 0.2, 0.0]
    assert height.tolist() == [0.2, 0.9, 0.9, 0.9]


def test_every_panel_is_drawn() -> None:
    panels = draw(recorded()).axes
    assert [p.get_title() for p in panels[:4]] == [
        "no std (raw)", "per-prompt std", "global std", "pooled std"
    ]  # fmt: skip
    ends = [line.get_ydata()[-1] for line in panels[4].lines if len(line.get_ydata())]
    assert max(ends) > 1e8
