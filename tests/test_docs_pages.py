"""The tutorial and the how-to run as printed; the site names every page of docs/."""

import contextlib
import io
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from covlaw.figures.registry import FIGURES
from covlaw.theory.losses.names import LOSSES
from covlaw.theory.statements import STATEMENTS

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "least"),
    [("tutorial", 6), ("howto", 6), ("guard", 1), ("index", 1), ("algorithms", 2)],
)
def test_every_block_prints_what_the_page_says(
    name: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    blocks = BLOCK.findall((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    assert len(blocks) >= least
    namespace: dict[str, object] = {}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"docs/{name}.md", "exec"), namespace)  # noqa: S102 - our own page
        assert printed.getvalue() == expected


def test_the_quoted_lines_stand_in_the_example() -> None:
    page = (ROOT / "docs/howto.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    source = (ROOT / "examples/trl_audit.py").read_text(encoding="utf-8")
    assert len(quoted) == 1
    assert textwrap.indent(quoted[0], "    ") in source


def test_every_statement_that_a_page_names_is_one() -> None:
    for page in (ROOT / "docs" / "theory").glob("*.md"):
        links = re.findall(r"\[([TEF]\d+)\]\(\.\./statements\.md#(\w+)\)", page.read_text("utf-8"))
        assert len(links) >= 4, page.name
        for id, anchor in links:
            assert id in STATEMENTS
            assert anchor == id.lower()


def test_every_picture_says_how_it_is_made() -> None:
    """A new figure is a row of docs/reproduce.md's table."""
    page = (ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `([^|]+)` \| `[^`]+` \|$", page, re.MULTILINE)
    assert {name for name, _ in rows} == set(FIGURES)
    for name, file in rows:
        needs = FIGURES[name].needs
        assert needs == file or not needs.endswith((".json", ".jsonl")), name


def test_the_site_shows_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    navigation = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert pages <= navigation
    assert {page for page in navigation if not page.startswith("project/")} <= pages


def test_the_table_of_losses_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8")
    table = page[page.index("| `loss` |") :].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| (?!maximises)", table, re.MULTILINE) == list(LOSSES)
