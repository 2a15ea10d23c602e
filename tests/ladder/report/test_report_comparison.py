"""Several runs on one page: a column each, whatever kind they are of, and nothing made up."""

import json
import re
from pathlib import Path

import pytest
from fake_runs import write_ladder, write_llm_run, write_study
from report_tags import Page

from covlaw.ladder.cli import main
from covlaw.ladder.report import write_report
from covlaw.ladder.report.comparison import comparison, joint_picture
from covlaw.records.reading import read_all
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return write_llm_run(tmp_path / "one"), write_llm_run(tmp_path / "other", "ctwa")


def test_pictures_of_each_stand_side_by_side(two: tuple[Path, Path], tmp_path: Path) -> None:
    text = write_report(*two, out=tmp_path / "new" / "page.html").read_text()
    page = Page(text)
    names = [a["id"] for t, a in page.tags if t == "figure"]
    assert names[:3] == ["together-interference", "r1-interference", "r2-interference"]
    assert len(names) % 2 == 1
    assert len(names) >= 5
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    assert page.dead_links() == []
    assert page.count("script") == 0
    links = [a["href"] for t, a in page.tags if t == "a"]
    assert links[1:] == ["#together", "#objectives", "#audits", "#settings", "#pictures"]


def test_runs_are_drawn_together_where_the_picture_tells_them_apart(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    drawn = joint_picture(read_all(two))
    assert drawn is not None
    assert "linear sacrifices clarity in 1 of 1 runs" in drawn.title
    assert "ctwa sacrifices none" in drawn.title
    again = write_llm_run(tmp_path / "again", seed=1)
    assert joint_picture(read_all((two[0], again))) is None  # one scalarizer: seeds of it
    others = write_llm_run(tmp_path / "others", "ctwa", objectives=("a", "b", "c"))
    assert joint_picture(read_all((two[0], others))) is None
    ladder = write_ladder(tmp_path / "ladder", seeds=1)
    assert joint_picture(read_all((two[0], ladder))) is None


def test_settings_that_differ_and_no_others(two: tuple[Path, Path]) -> None:
    same = 'kind = "run"\nseed = 0\n'
    for run, lines in zip(two, ('scalarizer = "linear"\nout = "a"\n', 'out = "b"\n'), strict=True):
        table = f"[options.ctwa]\ncap = {3 if run == two[0] else 4}\nema = 0.1\n"
        (run / "config.toml").write_text(same + lines + table)
    found = comparison(read_all(two), pictures=False)
    assert found["settings"] == [("scalarizer", ["linear", "–"]), ("options.ctwa.cap", ["3", "4"])]


def test_objectives_and_forecasts_of_each(two: tuple[Path, Path]) -> None:
    found = comparison(read_all(two), pictures=False)
    assert list(found["outcomes"]) == ["accuracy", "conciseness", "clarity"]
    linear, ctwa = found["outcomes"]["clarity"]
    paying = [(o.method, o.sacrificed, o.seeds) for o in (*linear, *ctwa)]
    assert paying == [("linear", 1, 1), ("ctwa", 0, 1)]
    assert list(found["agreements"]) == [
        "forecast: law",
        "forecast: clipped law",
        "diagnosis: first order",
        "diagnosis: exact form",
    ]
    assert all(cell["n"] == 12 for cells in found["agreements"].values() for cell in cells)


def test_verdicts_judged_differently_are_named(tmp_path: Path) -> None:
    ladders = [write_ladder(tmp_path / name, seeds=1) for name in ("a", "b")]
    record = json.loads((ladders[1] / "verdicts.json").read_text())
    record["verdicts"][0]["status"] = "refuted"
    del record["verdicts"][1]  # judged by one alone: no difference of judgement
    (ladders[1] / "verdicts.json").write_text(json.dumps(record))
    found = comparison(read_all(ladders), pictures=False)
    assert found["changed"] == [("T1", "theory", ["exact", "refuted"])]
    assert dict(found["statuses"])["refuted"] == [0, 1]
    text = write_report(*ladders, out=tmp_path / "page.html", pictures=False).read_text()
    assert "Refuted: T1 on theory." in text
    assert "Judged differently" in text
    record["verdicts"][0]["status"] = "holds"
    (ladders[1] / "verdicts.json").write_text(json.dumps(record))
    text = write_report(*ladders, out=tmp_path / "page.html", pictures=False).read_text()
    assert "No statement is judged differently" in text


def test_different_kinds_and_objectives_share_a_page(tmp_path: Path) -> None:
    folders = (
        write_ladder(tmp_path / "ladder", seeds=1),
        write_llm_run(tmp_path / "run", objectives=("accuracy", "tone", "<b>brevity")),
        write_study(tmp_path / "study"),
    )
    found = comparison(read_all(folders), pictures=False)
    assert list(found["outcomes"])[2:] == ["clarity", "tone", "<b>brevity"]
    ladder, run, study = found["outcomes"]["tone"]
    assert (ladder, len(run), study) == ([], 1, [])
    world, algorithm, cells = found["shares"][0]
    assert (world, algorithm) == ("all", "ctwa")
    assert cells[:2] == [None, None]
    assert cells[2]["sacrifices"]["mean"] == 0.5
    # what only one kind has is no difference between runs
    assert found["settings"] == [("kind", ["ladder", "–", "study"])]
    text = write_report(*folders, out=tmp_path / "page.html", pictures=False).read_text()
    page = Page(text)
    assert page.dead_links() == []
    rows = re.findall(r"<tr>.*?</tr>", text, re.DOTALL)
    assert {len(re.findall("<t[hd]", row)) for row in rows} == {4, 5}
    assert page.count("b") == 0


def test_names_tell_folders_apart(tmp_path: Path) -> None:
    folders = [write_llm_run(tmp_path / place / "seed0") for place in ("a", "b")]
    assert [r.name for r in read_all(folders)] == ["a/seed0", "b/seed0"]
    assert [r.name for r in read_all(folders[:1])] == ["seed0"]


def test_the_command(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    runs = [str(run) for run in two]
    for arguments, page in (([], "comparison.html"), (["--out", "other.html"], "other.html")):
        assert main(["report", *runs, *arguments]) == 0
        assert (tmp_path / page).is_file()
    assert "other.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a ladder's, a study's or an LLM run's"),
        (["one", "one/../one"], "is named twice: compare different folders"),
        (["one", "nothing"], "nothing holds no run"),
        (["one", "other", "--out", "one"], "one is a folder: name the page's file"),
    ],
)
def test_mistakes_are_named(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["report", *arguments]) != 0
    assert words in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("*.html"))


def test_an_empty_folder_of_a_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("seed = 0\n")
    with pytest.raises(CovlawError, match="holds nothing to report yet"):
        read_all([tmp_path])
