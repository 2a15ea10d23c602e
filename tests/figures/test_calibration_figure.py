"""Predicted against realised: any rungs that a run holds, and words that are theirs."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_runs import calibration, lines, write_ladder, write_llm_run

from covlaw.figures._drawing.available import available
from covlaw.figures._drawing.axes import signed_root_axes
from covlaw.figures._drawing.forecasts import rows
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.predicted_vs_realised import describe, draw


def test_a_row_for_each_rung_there_is(tmp_path: Path) -> None:
    llm = write_llm_run(tmp_path / "run")
    assert "predicted_vs_realised" in available(llm)
    assert [row.rung for row in rows(llm)] == ["llm"]
    assert len(draw(llm).axes) == 4
    exact = tmp_path / "exact"
    exact.mkdir()
    assert "predicted_vs_realised" not in available(exact)
    lines(exact / "calibration.jsonl", calibration())
    assert "predicted_vs_realised" in available(exact)
    assert [row.rung for row in rows(exact)] == ["bandit", "transformer"]
    assert "LLM" not in describe(exact).caption
    both = write_ladder(tmp_path / "both", seeds=1)
    assert [row.rung for row in rows(both)] == ["bandit", "transformer", "llm"]


@pytest.mark.parametrize(("law", "slope", "signs"), [(2.0, "0.50", 100), (-4.0, "-0.25", 0)])
def test_the_title_is_computed(law: float, slope: str, signs: int, tmp_path: Path) -> None:
    lines(tmp_path / "calibration.jsonl", calibration(law))
    assert describe(tmp_path).title == (
        "Exact form: slope 1.00, 100 % of signs right; "
        f"bare law: slope {slope}, {signs} % of signs right"
    )


def test_slopes_signs_and_hits_by_hand(tmp_path: Path) -> None:
    records = calibration(law=1.5)[:8]
    rng = np.random.default_rng(3)
    for record in records:
        noise = 0.05 * rng.normal(size=3)
        record["law"]["exact"] = (np.array(record["law"]["exact"]) + noise).tolist()
    lines(tmp_path / "calibration.jsonl", records)
    [row] = rows(tmp_path)
    change = np.array([r["realised"] for r in records]).ravel()
    forecast = np.array([r["law"]["exact"] for r in records]).ravel()
    sampled = np.array([r["law"]["estimate"] for r in records]).ravel()
    assert row.slope("law").value == pytest.approx(np.polyfit(forecast, change, 1)[0], rel=1e-9)
    assert row.signs("law") == (int((forecast * change > 0).sum()), 24)
    assert row.within("law") == (int((abs(sampled - change) <= 0.0196).sum()), 24)
    assert 0 < row.within("law")[0] < 24


def test_signs_are_judged_where_the_change_is_known(tmp_path: Path) -> None:
    [row] = rows(write_llm_run(tmp_path / "run"))
    clear = np.abs(row.change) > 1.96 * row.change_error
    agree = row.points["law"].forecast * row.change > 0
    assert row.signs("law") == ((clear & agree).sum(), clear.sum())
    assert (agree & ~clear).any()


def test_laws_that_nothing_clipped_are_said_to_agree(tmp_path: Path) -> None:
    run = write_llm_run(tmp_path / "run")
    assert "(T26)" not in describe(run).caption
    path = run / "steps.jsonl"
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    for step in steps:
        for audit in step["audits"]:
            audit["clipped"] = audit["law"]
    lines(path, steps)
    assert "(T26)" in describe(run).caption


def test_signed_roots_keep_the_room_of_small_changes() -> None:
    axes = new_figure(2).subplots()
    signed_root_axes(axes, 0.25)
    place = axes.transData.transform([(-0.25, 0), (-0.01, 0), (0, 0), (0.01, 0), (0.25, 0)])[:, 0]
    apart = np.diff(place) / (place[-1] - place[0])
    assert apart == pytest.approx([0.4, 0.1, 0.1, 0.4], rel=1e-6)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["-0.2", "0", "0.2"]
