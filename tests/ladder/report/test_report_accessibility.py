"""Every page can be read by anyone: contrast, keyboard, names, narrow screens, paper."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runs import lines, samples, write_llm_run
from report_visits import CHROMIUM, OLD_PHONE, Visit, chromium

from covlaw.figures._drawing.render import recorded
from covlaw.ladder.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
CONTRAST = (Path(__file__).parents[2] / "_shared" / "contrast.js").read_text()
PAPER = 718
"""CSS pixels between the margins of A4."""
KINDS = (pytest.param("ladder", marks=pytest.mark.slow), "study", "run", "several")
HOSTILE = "</script><img src=x onerror=alert(1)> \u202eevil\u202c " + "W" * 500


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(playwright) as started:
        yield started


class Pages(dict[str, Path]):
    """A page a kind, written when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, kind: str) -> Path:
        if kind in ("run", "several"):
            names = ("accuracy", "conciseness", "W" * 60)
            runs = [write_llm_run(self.folder / n, n, objectives=names) for n in ("linear", "ctwa")]
            lines(runs[0] / "samples.jsonl", [samples(names, t, HOSTILE, HOSTILE) for t in (0, 19)])
            self["run"] = write_report(runs[0])
            self["several"] = write_report(*runs, out=self.folder / "several.html")
        else:
            shutil.copytree(recorded(kind), self.folder / kind)
            self[kind] = write_report(self.folder / kind)
        return self[kind]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """The recorded ladder and study, a run with long words in it, and a comparison."""
    return Pages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_text_stands_out(browser: Any, pages: Pages, kind: str, scheme: str) -> None:
    visit = Visit(browser, pages[kind], scheme=scheme)
    visit.unfold()
    found = visit.page.evaluate(CONTRAST)
    assert found["seen"]["html"] > 50
    assert found["seen"]["svg"] > 30
    assert found["short"] == []


def test_pale_text_would_be_found(browser: Any, pages: Pages) -> None:
    """The control: a style that is too pale is named, in words and in drawings."""
    visit = Visit(browser, pages["run"])
    visit.page.add_style_tag(content="h1 { color: #aaa } g[transform*='scale('] * { fill: #bbb }")
    short = visit.page.evaluate(CONTRAST)["short"]
    assert any(text.startswith("H1") for text in short)
    assert sum(text.startswith("text at") for text in short) > 20


@pytest.mark.parametrize("kind", ["study", "run", "several"])
def test_everything_is_reached_by_keyboard(browser: Any, pages: Pages, kind: str) -> None:
    visit = Visit(browser, pages[kind])
    visit.unfold()
    visit.page.evaluate(
        "window.all = [...document.querySelectorAll('a[href], button, input, select, summary,"
        " [tabindex=\"0\"]')].filter(e => e.getClientRects().length || e.matches('.skip'))"
    )
    expected = visit.page.evaluate("all.length")
    assert expected > 5
    reached = []
    for _ in range(expected):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("all.indexOf(document.activeElement)"))
    assert reached == list(range(expected))  # each, in the order of the page


@pytest.mark.parametrize("kind", KINDS)
def test_what_scrolls_and_what_is_drawn_has_a_name(browser: Any, pages: Pages, kind: str) -> None:
    visit = Visit(browser, pages[kind], OLD_PHONE)
    visit.unfold()
    unnamed = visit.page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)"
        " && !(e.tabIndex === 0 && e.role && e.ariaLabel)).map(e => e.outerHTML.slice(0, 80))"
    )
    assert unnamed == []
    figures = visit.page.get_by_role("figure", name=re.compile(".{10}|linear|ctwa"))
    assert figures.count() == visit.page.locator("figure").count() > 0
    assert visit.page.locator("h1").count() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_is_wider_than_an_old_phone(browser: Any, pages: Pages, kind: str) -> None:
    visit = Visit(browser, pages[kind], OLD_PHONE)
    visit.unfold()
    assert visit.overflow() == 0
    assert visit.complaints == []
    assert len(visit.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_paper_is_white_and_wide_enough(browser: Any, pages: Pages, kind: str) -> None:
    visit = Visit(browser, pages[kind], PAPER, "dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert visit.overflow() == 0
    assert not visit.page.locator("nav, #filters").first.is_visible()
