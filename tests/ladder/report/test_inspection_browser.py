"""The page of an inspection in a real browser: quiet, and no wider than the screen."""

from pathlib import Path

import pytest
from made_logs import rollouts
from report_visits import CHROMIUM, DESKTOP, PHONE, Visit, chromium

from covlaw.ladder.report.inspection_page import inspection_page
from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.logs.read import read_log

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


def test_the_page_is_quiet_and_fits(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(inspection_page(inspect_log(read_log(rollouts(steps=6, completions=8)))))
    with chromium(playwright) as browser:
        for width in (PHONE, DESKTOP):
            visit = Visit(browser, page, width)
            assert visit.complaints == []
            assert visit.requests == [page.as_uri()]
            assert visit.overflow() == 0
