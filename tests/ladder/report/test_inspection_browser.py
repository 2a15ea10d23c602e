"""The page of an inspection in a real browser: quiet, and no wider than the screen."""

from pathlib import Path

import pytest
from made_logs import rollouts
from report_visits import CHROMIUM, DESKTOP, PHONE, Visit, chromium

from covlaw.ladder.report.inspection_page import inspection_page
from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.inspection.losers import losers
from covlaw.plugins.logs.columns import Asked
from covlaw.plugins.logs.read import read_log
from covlaw.plugins.logs.texts import read_texts

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


def test_the_page_is_quiet_and_fits(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    rows = rollouts(steps=6, completions=8)
    for row in rows:
        row["completion"] = "unbroken" * 40
    found = inspect_log(read_log(rows))
    worst = losers(found)
    texts = read_texts(rows, {(w.step, w.prompt) for w in worst}, Asked())
    page.write_text(inspection_page(found, worst, texts))
    with chromium(playwright) as browser:
        for width in (PHONE, DESKTOP):
            visit = Visit(browser, page, width)
            assert visit.complaints == []
            assert visit.requests == [page.as_uri()]
            visit.unfold()
            assert visit.overflow() == 0


def test_tables_sort_by_keyboard_and_filter(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(inspection_page(inspect_log(read_log(rollouts(steps=8, prompts=48)))))
    region = "[aria-label='Law of each step']"
    with chromium(playwright) as browser:
        visit = Visit(browser, page)

        def steps() -> list[str]:
            found: list[str] = visit.page.eval_on_selector_all(
                f"{region} tbody tr:not([hidden]) th", "cells => cells.map(c => c.textContent)"
            )
            return found

        assert steps() == [str(k) for k in range(7, -1, -1)]
        visit.page.focus(f"{region} thead button")
        visit.page.keyboard.press("Enter")
        assert steps() == [str(k) for k in range(8)]
        second = f"{region} thead th:nth-child(2)"
        visit.page.click(f"{second} button")
        assert visit.page.get_attribute(second, "aria-sort") == "ascending"
        values = visit.page.eval_on_selector_all(
            f"{region} tbody td:nth-child(2)", "cells => cells.map(c => parseFloat(c.textContent))"
        )
        assert values == sorted(values)
        visit.page.fill(f".filter:has(+ {region}) input", "alarm")
        assert 0 < len(steps()) < 8
        assert visit.complaints == []
