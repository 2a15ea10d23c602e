"""docs/figures.md is what the records say."""

import re

from gallery import PAGE, ROOT, page

from covlaw.figures.registry import FIGURES


def test_the_committed_page_is_fresh() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_figure_is_there_and_every_link_leads_to_a_file() -> None:
    text = page()
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(FIGURES)
    for target in re.findall(r"\]\(([^)#]+)(?:#\w+)?\)", text):
        assert (ROOT / PAGE).parent.joinpath(target).resolve().is_file(), target
