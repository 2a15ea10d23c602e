"""The report: one self-contained page that says what was checked, hostile names and all."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_runs import write_ladder, write_llm_run

from covlaw.figures.available import available
from covlaw.ladder.cli import main
from covlaw.ladder.report import write_report

HOSTILE = ("<script>alert(1)</script>", 'a & b "quoted" $x_1$', "clarté — 明確さ")


class Page(HTMLParser):
    """Collects tags, attributes and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_fetches_nothing_and_its_links_resolve(tmp_path: Path) -> None:
    page = Page(write_report(write_ladder(tmp_path)).read_text())
    ids = {a["id"] for _, a in page.tags if "id" in a}
    assert not [t for t, _ in page.tags if t in ("link", "img", "iframe", "object")]
    assert [a for t, a in page.tags if t == "script"] == [{}]  # inline, and the only one
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name)
            assert target is None or (target.startswith("#") and target[1:] in ids)
    text = (tmp_path / "report.html").read_text()
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_hostile_objective_names_are_escaped(tmp_path: Path) -> None:
    text = write_report(write_ladder(tmp_path, HOSTILE)).read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert "clarté" in text


def test_every_figure_has_a_text_alternative(tmp_path: Path) -> None:
    page = Page(write_report(write_ladder(tmp_path)).read_text())
    pictures = [a for t, a in page.tags if a.get("role") == "img"]
    assert len(pictures) == len(available(tmp_path))
    assert all(len(a["aria-label"] or "") > 40 for a in pictures)
    seen = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(seen) == len(set(seen))


def test_the_page_says_what_the_verdicts_say(tmp_path: Path) -> None:
    text = write_report(write_ladder(tmp_path)).read_text()
    assert "Nothing was refuted." in text
    assert "linear loses clarity in 3 of 3 runs" in text
    assert re.search(r"✓ 23</b>holds", text)
    assert re.search(r"\? 1</b>inconclusive", text)


def test_the_page_names_no_rung_that_was_not_climbed_and_tells_of_crashes(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    path = folder / "verdicts.json"
    record = json.loads(path.read_text())
    text = write_report(folder).read_text()
    assert "from symbols to a language model" in text
    assert "crashed" not in text
    record["verdicts"] = [v for v in record["verdicts"] if v["rung"] == "bandit"]
    path.write_text(json.dumps(record))
    (folder / "failures.log").write_text("T8 bandit\n")
    text = write_report(folder).read_text()
    assert "to a language model" not in text
    assert "Some jobs crashed and are missing here" in text


def test_a_single_run_has_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_llm_run(tmp_path / "linear-seed0")
    assert main(["report", str(run)]) == 0
    text = (run / "report.html").read_text()
    assert "interference" in text
    assert "Every statement" not in text
    assert "report.html" in capsys.readouterr().out


def test_the_same_records_give_the_same_page(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()
