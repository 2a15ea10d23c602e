"""The figure of the real model's runs: whatever is recorded of it is drawn, and said."""

from pathlib import Path

import pytest
from fake_real import CHANGES, NAMES, write_real
from matplotlib.figure import Figure

from covlaw.figures._drawing.style import house_style
from covlaw.figures.registry import load
from covlaw.records.real import held_out_change, real_record


def drawn(run: Path) -> Figure:
    with house_style():
        return load("real").draw(run)


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("methods", [tuple(CHANGES), ("linear", "guarded"), ("mgda",)])
def test_it_takes_as_many_seeds_and_methods_as_there_are(
    seeds: int, methods: tuple[str, ...], tmp_path: Path
) -> None:
    run = write_real(tmp_path, seeds, methods)
    words, figure = load("real").describe(run), drawn(run)
    assert f"{seeds * len(methods)} run" in words.caption
    assert f"seed{'s' if seeds > 1 else ''} {', '.join(map(str, range(seeds)))}" in words.caption
    curves = figure.axes[0].lines
    assert len(curves) == len(methods) * (seeds + 1)  # each run, and their mean
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(methods)
    shares = figure.axes[len(NAMES)].lines
    assert bool(shares) == ("guarded" in methods)


def test_the_title_is_what_was_measured_held_out(tmp_path: Path) -> None:
    run = write_real(tmp_path)
    record = real_record(run)
    title = load("real").describe(run).title
    for j, name in enumerate(NAMES):
        both = [held_out_change(record, method)[j].mean for method in ("linear", "guarded")]
        said = " → ".join(f"{value:+.2f}".replace("-", "−") for value in both)
        assert f"{name} {said}" in title
    assert "linear → guarded" in title
    assert "guarded" not in load("real").describe(write_real(tmp_path, 1, ("linear",))).title


def test_the_measured_change_stands_where_it_was_measured(tmp_path: Path) -> None:
    run = write_real(tmp_path)
    panel = drawn(run).axes[2 * len(NAMES)]
    found = held_out_change(real_record(run), "linear")[0]
    law, linear = panel.containers[0], panel.containers[1]
    assert law.lines[0].get_xdata()[0] == pytest.approx(0.16)
    assert linear.lines[0].get_xdata()[0] == pytest.approx(found.mean)
    [bar] = linear.lines[2][0].get_segments()
    assert sorted(bar[:, 0]) == pytest.approx([found.low, found.high])
