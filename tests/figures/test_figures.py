"""Figures: the same bytes from the same records, and titles that claim what is there."""

from pathlib import Path

import pytest
from fake_runs import write_ladder
from PIL import Image

from covlaw.figures.registry import FIGURES, load
from covlaw.figures.render import inline_svg, save
from covlaw.theory.errors import CovlawError

PRINTED_WIDTH = 1300
"""Pixels: 6.5 inches at 200 dots an inch."""


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ladder(tmp_path_factory.mktemp("ladder"))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_bytes_twice(name: str, ladder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for out in (first, second):
        out.mkdir()
        save(name, ladder, out)
    assert (first / f"{name}.svg").read_bytes() == (second / f"{name}.svg").read_bytes()
    assert (first / f"{name}.png").read_bytes() == (second / f"{name}.png").read_bytes()
    with Image.open(first / f"{name}.png") as picture:
        assert picture.width == PRINTED_WIDTH


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_what_it_shows(name: str, ladder: Path) -> None:
    words = load(name).describe(ladder)
    assert 10 < len(words.title) < 160
    assert words.caption.endswith(".")
    assert inline_svg(name, ladder).startswith('<svg aria-hidden="true"')


def test_the_interference_title_is_computed(tmp_path: Path) -> None:
    title = load("interference").describe(write_ladder(tmp_path, seeds=2)).title
    assert "linear loses clarity in 2 of 2 runs" in title
    assert "ctwa loses none" in title


def test_an_unknown_figure_names_near_matches() -> None:
    with pytest.raises(CovlawError, match="did you mean law_budget"):
        load("law_budgets")
