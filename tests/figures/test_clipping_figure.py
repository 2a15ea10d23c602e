"""The clipping figure claims what its records hold."""

from pathlib import Path

import pytest
from fake_runs import clipping, lines, write_ladder
from matplotlib.figure import Figure
from scipy.stats import norm

from covlaw.figures._drawing.looks import OBJECTIVES
from covlaw.figures._drawing.shares import draw_shares
from covlaw.figures.registry import Description, load


def _words(folder: Path, records: list[dict]) -> Description:
    write_ladder(folder)
    lines(folder / "clipping.jsonl", records)
    return load("clipping").describe(folder)


def test_title_and_caption_are_counted(tmp_path: Path) -> None:
    words = _words(tmp_path, clipping())
    assert words.title == (
        "No sign turns inside the clipping certificate (0 of 72); beyond it 50 % do"
    )
    assert "120 random inner steps" in words.caption
    assert "0 of 120 are outside" in words.caption
    assert "x = 1 + 1e-03" in words.caption


def test_a_turned_certified_sign_is_said(tmp_path: Path) -> None:
    records = clipping()
    records[0] |= {"turned_certified": 2, "turned": 6, "outside": 3}
    words = _words(tmp_path, records)
    assert words.title.startswith("2 signs turn inside the clipping certificate (2 of 72)")
    assert "3 of 120 are outside" in words.caption


def test_a_search_that_turns_nothing_is_said(tmp_path: Path) -> None:
    assert "it turns none" in _words(tmp_path, clipping()[:-1]).caption


def test_shares_have_wilsons_interval() -> None:
    axes = Figure().subplots()
    draw_shares(axes, [1.0, 2.0], [(0, 40), (9, 30)], OBJECTIVES[0], "some")
    [bars] = axes.containers
    ends = [segment[:, 1] for segment in bars[2][0].get_segments()]
    z = norm.ppf(0.975)
    for (count, n), (low, high) in zip([(0, 40), (9, 30)], ends, strict=True):
        # its ends are the shares that the observed one is z standard errors away from
        for end in (low, high):
            assert (count / n - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, abs=1e-15)
        assert low < high
