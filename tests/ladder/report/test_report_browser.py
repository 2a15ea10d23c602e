"""The report in a real browser: no error, no request, sorting and filtering, every width and theme.

Debian's Chromium, driven by Playwright; skipped where either is missing.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_runs import write_llm_run, write_study
from report_visits import CHROMIUM, DESKTOP, OLD_PHONE, PHONE, Visit, chromium

from covlaw.figures._drawing.render import recorded
from covlaw.ladder.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(playwright) as started:
        yield started


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded ladder: every statement on every rung."""
    folder = tmp_path_factory.mktemp("report") / "ladder"
    shutil.copytree(recorded(), folder)
    return write_report(folder)


@pytest.mark.parametrize("width", [OLD_PHONE, PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_quiet_and_fits(browser: Any, ladder: Path, width: int, scheme: str) -> None:
    visit = Visit(browser, ladder, width, scheme)
    assert visit.complaints == []
    assert visit.requests == [ladder.as_uri()]
    assert visit.overflow() == 0
    visit.unfold()
    assert visit.overflow() == 0
    background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 19, 24)"}[scheme]


def test_columns_sort_by_mouse_and_by_keyboard(browser: Any, ladder: Path) -> None:
    visit = Visit(browser, ladder)
    head = visit.page.locator("#verdicts th", has_text="tightness")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    column = [row[10] for row in visit.shown()]
    numbers = [float(text) for text in column if text != "–"]
    assert len(numbers) > 20
    assert numbers == sorted(numbers)
    assert column[len(numbers) :] == ["–"] * (len(column) - len(numbers))  # unknown ones last
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    down = [float(row[10]) for row in visit.shown()[: len(numbers)]]
    assert down == sorted(numbers, reverse=True)
    visit.page.locator("#verdicts th", has_text="id").first.locator("button").click()
    ids = [row[0] for row in visit.shown()]
    assert ids.index("T2") < ids.index("T10") < ids.index("E1") < ids.index("F1")


def test_filters_narrow_the_table_and_the_address_keeps_them(browser: Any, ladder: Path) -> None:
    visit = Visit(browser, ladder)
    everything = len(visit.shown())
    visit.page.select_option("[name=rung]", "bandit")
    assert {row[2] for row in visit.shown()} == {"bandit"}
    visit.page.select_option("[name=part]", "clipping")
    visit.page.fill("[name=text]", "t24")
    assert [row[0] for row in visit.shown()] == ["T24"]
    assert visit.page.text_content("#count") == f"1 of {everything} verdicts"
    visit.page.reload()
    assert [row[0] for row in visit.shown()] == ["T24"]
    visit.page.get_by_role("button", name="Show all").click()
    # no function to wait for: the page's policy forbids the eval that a second look at one takes
    visit.page.locator("#count", has_text=re.compile(rf"^{everything} ")).wait_for()
    assert len(visit.shown()) == everything


def test_links_lead_to_what_they_name(browser: Any, ladder: Path) -> None:
    visit = Visit(browser, ladder)
    dead = visit.page.evaluate(
        "[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"
        ".filter(h => !h.startsWith('#') || !document.getElementById(h.slice(1)))"
    )
    assert dead == []
    assert visit.page.locator("math").count() >= 72


def test_the_table_is_whole_without_the_script(browser: Any, ladder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(ladder.as_uri())
    assert page.locator("#verdicts tbody tr").count() > 200
    assert not page.locator("#filters").is_visible()


@pytest.mark.parametrize("write", [write_llm_run, write_study])
def test_every_other_kind_of_folder_has_a_quiet_page(
    browser: Any, tmp_path: Path, write: Any
) -> None:
    folder = write(tmp_path / "linear-seed0")
    visit = Visit(browser, write_report(folder), PHONE)
    assert visit.complaints == []
    assert len(visit.requests) == 1


def test_a_script_from_elsewhere_would_not_run(browser: Any, ladder: Path, tmp_path: Path) -> None:
    """The control of the policy: one more script in the page is refused, loudly."""
    page = tmp_path / "page.html"
    page.write_text(ladder.read_text().replace("</body>", "<script>window.bad = 1</script></body>"))
    visit = Visit(browser, page)
    assert visit.page.evaluate("window.bad") is None
    assert any("Content Security Policy" in text for text in visit.complaints)
