"""The title says what the records promise."""

from pathlib import Path

import pytest
from fake_runs import group_size, lines

from covlaw.figures.group_size import describe, draw


@pytest.mark.parametrize(
    ("promise", "claim"),
    [(8.0, "3.0 times what happens at K = 4, 1.12 times at K = 64"), (64.0, "17.0 times what")],
)
def test_the_title_is_computed(promise: float, claim: str, tmp_path: Path) -> None:
    lines(tmp_path / "group_size.jsonl", group_size(promise))
    assert claim in describe(tmp_path).title
    assert "20 completions a prompt at every K" in describe(tmp_path).caption


def test_points_and_lines_are_the_records(tmp_path: Path) -> None:
    records = group_size()
    lines(tmp_path / "group_size.jsonl", records)
    own, controls = draw(tmp_path).axes
    heights = {tuple(line.get_ydata()) for line in own.lines}
    assert (5.0, 3.0, 1.125) in heights  # both the derived line and the points
    assert {tuple(line.get_ydata()) for line in controls.lines} >= {(1.0, 1.0, 1.0), (1.0, 1.0)}


def test_an_objective_that_falls_is_said_to_fall(tmp_path: Path) -> None:
    records = group_size()
    for record in records:
        if record["objective"] == "clarity":
            record["realised"]["mean"] = -0.1
    lines(tmp_path / "group_size.jsonl", records)
    legend = draw(tmp_path).axes[0].get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["accuracy", "conciseness", "clarity (falls)", "score (trained on)"]
