"""The figure of convergence rates claims what its records hold, also when a bound is passed."""

import json
from pathlib import Path
from typing import Any

import pytest

from covlaw.figures._drawing.render import recorded
from covlaw.figures._drawing.style import power_of_ten
from covlaw.figures.pl_rates import BOUNDS, PANELS, describe, draw
from covlaw.figures.registry import Description
from covlaw.records.lines import read_records


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return read_records(recorded() / "convergence.jsonl")


def words(records: list[dict[str, Any]], folder: Path) -> Description:
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "convergence.jsonl").write_text(text)
    return describe(folder)


def test_the_title_tells_the_nearest_approach(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    title = words(records, tmp_path).title
    assert title.startswith("No gap passes its bound")
    assert "noise 1.00, drift 1.05" in title
    noise = records[1]
    assert noise["panel"] == "noise"
    noise["least_ratio"]["ours"] = 1.3
    assert "noise 1.30, drift 1.05" in words(records, tmp_path).title


def test_a_passed_bound_is_the_title(records: list[dict[str, Any]], tmp_path: Path) -> None:
    noise = records[1]
    noise["least_ratio"]["ours"] = 1 - noise["tolerance"] / 2  # rounding
    assert words(records, tmp_path).title.startswith("No gap passes")
    noise["least_ratio"]["ours"] = 0.99
    assert words(records, tmp_path).title == "A gap passes its bound: noise (ours)"


def test_false_forms_that_hold_are_counted(records: list[dict[str, Any]], tmp_path: Path) -> None:
    assert "below a gap in 3 of 3 runs" in words(records, tmp_path).caption
    records[1]["least_ratio"]["false"] = 1.2
    assert "below a gap in 2 of 3 runs" in words(records, tmp_path).caption


def test_every_kind_of_problem_and_bound_is_drawn(records: list[dict[str, Any]]) -> None:
    figure = draw(recorded())
    assert {r["panel"] for r in records} == set(PANELS)
    assert {name for r in records for name in r["bounds"]} == set(BOUNDS)
    [legend] = figure.legends
    assert len(legend.get_texts()) == 1 + len(BOUNDS)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 0 < low < high


def test_powers_of_ten() -> None:
    assert [power_of_ten(x) for x in (1e-12, 1.0, 1000.0)] == ["10⁻¹²", "10⁰", "10³"]
