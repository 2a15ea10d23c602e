"""The law's share and sign, as the records have them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import OBJECTIVES, TERMS, lines

from covlaw.figures.law_budget import FULL, MARKS, SHORT, describe, draw


def budgets(law: float, certified: bool = False) -> list[dict[str, Any]]:
    """The law has 1/2 of each budget at rate 1, |law|/(|law| + 1) at rate 10, signed as given."""
    return [
        {
            "optimiser": "SGD", "learning_rate": rate, "objective": objective,
            "terms": {name: (k + 1) * (-1) ** k for k, name in enumerate(TERMS)},
            "short": {"law": 1.0 if rate == 1 else law, "direction": 0.0, "logit": 0.5,
                      "tilt": 0.5, "bound": 1.0, "certified": certified},
            "realised": 2.0, "note": "",
        }
        for rate in (10.0, 1.0) for objective in OBJECTIVES
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("law", "claim"), [(3.0, "SGD 50 → 75 %; its sign holds in 6 of 6"),
                       (-0.25, "SGD 50 → 20 %; its sign holds in 3 of 6")]
)  # fmt: skip
def test_the_title_is_computed(law: float, claim: str, tmp_path: Path) -> None:
    lines(tmp_path / "budgets.jsonl", budgets(law))
    assert claim in describe(tmp_path).title
    assert "certificate covers 0." in describe(tmp_path).caption


def test_bars_are_shares_and_marks_stand_where_the_sign_is_opposite(tmp_path: Path) -> None:
    lines(tmp_path / "budgets.jsonl", budgets(-0.25))
    *signed, unsigned = draw(tmp_path).axes
    for panel in signed:
        heights = [bar.get_height() for bar in panel.patches]  # term by term, at both rates
        assert heights == pytest.approx([0.5, -0.2, 0, 0, 0.25, 0.4, 0.25, 0.4])
        realised, opposite = (np.array(line.get_xydata()) for line in panel.lines[:2])
        assert realised == pytest.approx(np.array([[0, 1], [1, 0.6]]))
        assert opposite.tolist() == [[1, MARKS]]
    sizes = [bar.get_height() for bar in unsigned.patches]
    assert sizes == pytest.approx(np.repeat(np.arange(1, 8) / 28, 2))
    assert sum(sizes) == pytest.approx(2)


def test_certified_bars_are_marked_and_explained(tmp_path: Path) -> None:
    lines(tmp_path / "budgets.jsonl", budgets(3.0, certified=True))
    figure = draw(tmp_path)
    [legend] = figure.legends
    labels = {text.get_text() for text in legend.get_texts()}
    assert labels == {"realised", "certified", "law", *SHORT, *(set(FULL) - {"f0"})}
    assert "certificate covers 6." in describe(tmp_path).caption
