"""Chromium for tests of the report: started once, each page with what it asked for and said."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
OLD_PHONE, PHONE, DESKTOP = 360, 390, 1280


@contextmanager
def chromium(playwright: Any) -> Iterator[Any]:
    """Debian's, none of Playwright's own."""
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visit:
    """A page, with everything it asked for or complained of."""

    def __init__(self, browser: Any, page: Path, width: int = DESKTOP, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(page.as_uri())

    def unfold(self) -> None:
        """Open whatever is folded away."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

    def overflow(self) -> int:
        """Pixels that the page is wider than the screen."""
        root = "document.documentElement"
        found: int = self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
        return found

    def shown(self) -> list[list[str]]:
        """The texts of the rows that the table of verdicts shows."""
        rows: list[list[str]] = self.page.eval_on_selector_all(
            "#verdicts tbody tr:not([hidden])",
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))",
        )
        return rows
