"""The title says what the records promise; the marks are the worst cells."""

from pathlib import Path

from fake_runs import certificates, lines

from covlaw.figures.certificates import describe, draw


def test_the_title_is_computed(tmp_path: Path) -> None:
    lines(tmp_path / "certificates.jsonl", certificates(wrong=2, plain=360))
    assert "at most 0.2 % of samples" in describe(tmp_path).title
    assert "up to 36 %" in describe(tmp_path).title
    assert "1,000 batches a cell" in describe(tmp_path).caption


def test_the_worst_cell_is_drawn(tmp_path: Path) -> None:
    records = certificates()
    records[0]["wrong"], records[1]["covered"] = 7, 940
    lines(tmp_path / "certificates.jsonl", records)
    wrong, cover = draw(tmp_path).axes
    drawn = {tuple(line.get_xdata()) for line in wrong.lines}
    assert (0.007, 0.001) in drawn  # the measured change is never certified
    assert (0.94, 0.96, 0.96) in {tuple(line.get_xdata()) for line in cover.lines}
