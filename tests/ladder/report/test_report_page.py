"""The report: one self-contained page that says what was checked, hostile names and all."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fake_runs import write_ladder, write_llm_run, write_study
from report_tags import Page

from covlaw.figures._drawing.available import available
from covlaw.ladder.cli import main
from covlaw.ladder.report import verdict_section, write_report
from covlaw.ladder.report.pictures import top_and_rest
from covlaw.theory.statements.registry import file_of

HOSTILE = ("<script>alert(1)</script>", 'a & b "quoted" $x_1$', "clarté — 明確さ")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a ladder whose objectives have hostile names, with every picture; in its folder."""
    return write_report(write_ladder(tmp_path_factory.mktemp("pages") / "linear-seed0", HOSTILE))


@pytest.mark.parametrize("write", [None, write_llm_run, write_study])
def test_a_page_fetches_nothing_and_its_links_resolve(
    hostile: Path, tmp_path: Path, write: Any
) -> None:
    text = (write_report(write(tmp_path / "linear-seed0")) if write else hostile).read_text()
    page = Page(text)
    assert not [t for t, _ in page.tags if t in ("link", "img", "iframe", "object")]
    assert [a for t, a in page.tags if t == "script"] == [{}] * (write is None)  # inline
    assert page.dead_links() == []
    assert all(a["href"].startswith("#") for t, a in page.tags if t == "a")
    contents = re.findall(r'<li><a href="#([^"]+)"', text)
    assert len(contents) >= 3
    seen = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(seen) == len(set(seen))
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_hostile_objective_names_are_escaped(hostile: Path) -> None:
    text = hostile.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert "clarté" in text


def test_every_figure_has_a_text_alternative(hostile: Path) -> None:
    page = Page(hostile.read_text())
    pictures = [a for t, a in page.tags if a.get("class") == "drawing"]
    assert len(pictures) == len(available(hostile.parent))
    assert all(len(a["aria-label"] or "") > 40 for a in pictures)
    assert all(a["role"] == "img" for a in pictures)
    seen = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(seen) == len(set(seen))


def test_the_page_says_what_the_verdicts_say(tmp_path: Path) -> None:
    text = write_report(write_ladder(tmp_path), pictures=False).read_text()
    assert "Nothing was refuted." in text
    assert "linear sacrifices clarity in 3 of 3 runs" in text
    table = text.split('id="by-rung"')[1].split("</table>")[0]
    rows = {cells[0]: cells[1:] for row in table.split("<tr>")[2:] if (cells := _cells(row))}
    assert rows["bandit"] == ["5", "–", "–", "–", "–", "–"]
    assert rows["transformer"] == ["4", "–", "–", "–", "1", "–"]
    assert rows["llm"] == ["–", "3", "1", "–", "–", "1"]  # never one total over the rungs


def _cells(row: str) -> list[str]:
    return re.findall(r">([^<>\n]+)</t[hd]>", row)


def test_the_page_names_no_rung_that_was_not_climbed_and_tells_of_crashes(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    path = folder / "verdicts.json"
    record = json.loads(path.read_text())
    text = write_report(folder, pictures=False).read_text()
    assert "from symbols to a language model" in text
    assert "crashed" not in text
    record["verdicts"] = [v for v in record["verdicts"] if v["rung"] == "bandit"]
    path.write_text(json.dumps(record))
    (folder / "failures.log").write_text("T8 bandit\n")
    text = write_report(folder, pictures=False).read_text()
    assert "to a language model" not in text
    assert "Some jobs crashed and are missing here" in text


def test_a_single_run_has_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_llm_run(tmp_path / "linear-seed0")
    assert main(["report", str(run)]) == 0
    text = (run / "report.html").read_text()
    assert "interference" in text
    assert "Every statement" not in text
    assert "report.html" in capsys.readouterr().out


def test_the_same_records_give_the_same_page(hostile: Path) -> None:
    assert hostile.read_bytes() == write_report(hostile.parent).read_bytes()


def test_three_pictures_at_the_top_and_the_others_after_the_verdicts(hostile: Path) -> None:
    text = hostile.read_text()
    figures = re.findall(r'<figure id="(\w+)"', text)
    assert figures[:3] == ["ladder_matrix", "interference", "predicted_vs_realised"]
    assert sorted(figures) == sorted(available(hostile.parent))
    places = [text.index(f'id="{id}"') for id in ("content", figures[2], "all", "more", figures[3])]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("names", "top"),
    [
        (["a", "study", "b", "reference_defects", "c"], ["study", "reference_defects", "a"]),
        (["law_budget"], ["law_budget"]),
        ([], []),
    ],
)
def test_what_stands_at_the_top(names: list[str], top: list[str]) -> None:
    first, rest = top_and_rest(names)
    assert first == top
    assert sorted(first + rest) == sorted(names)
    assert rest == [name for name in names if name in rest]


def test_every_statement_names_its_source_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ladder(tmp_path)
    text = write_report(folder, pictures=False).read_text()
    assert f"<dd><code>{file_of('T8')}</code></dd>" in text
    monkeypatch.setattr(verdict_section, "repository", lambda: "https://example.org/covlaw/")
    text = write_report(folder, pictures=False).read_text()
    assert f'href="https://example.org/covlaw/blob/v0.1.0/{file_of("T8")}"' in text


def test_an_older_record_has_a_page_that_says_what_is_missing(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    first, *others = (folder / "budgets.jsonl").read_text().splitlines()
    record = json.loads(first)
    del record["terms"]
    (folder / "budgets.jsonl").write_text("\n".join([json.dumps(record), *others]) + "\n")
    text = write_report(folder).read_text()
    assert "lacks &#39;terms&#39;: record the run anew" in text
