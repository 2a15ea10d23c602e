"""Nothing stands on anything else: title, panels, legend and caption of every figure."""

from functools import cache
from itertools import combinations, pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure

from covlaw.figures._drawing.render import record_for
from covlaw.figures._drawing.style import house_style
from covlaw.figures._drawing.words import with_words
from covlaw.figures.registry import FIGURES, load

TOUCH = 0.5
"""Pixels: edges may meet within half of one, as bounding boxes are rounded outwards."""


@cache
def drawn(name: str) -> tuple[Figure, RendererAgg]:
    figure = with_words(load(name), record_for(name))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    return figure, renderer


@pytest.mark.parametrize("name", FIGURES)
def test_the_parts_of_a_figure_keep_apart(name: str) -> None:
    with house_style():
        figure, renderer = drawn(name)
        parts = {
            **{f"panel {k}": a.get_tightbbox(renderer) for k, a in enumerate(figure.axes)},
            **{f"legend {k}": x.get_window_extent(renderer) for k, x in enumerate(figure.legends)},
            **{f"text {t.get_text()[:20]!r}": t.get_window_extent(renderer) for t in figure.texts},
        }
        page = figure.bbox
        for part, box in parts.items():
            assert box is not None
            outside = (page.x0 - box.x0, box.x1 - page.x1, page.y0 - box.y0, box.y1 - page.y1)
            assert max(outside) <= TOUCH, f"{part} leaves the page"
        for (first, a), (second, b) in combinations(parts.items(), 2):
            wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(wide, high) <= TOUCH, f"{first} stands on {second}"


@pytest.mark.parametrize("name", FIGURES)
def test_the_labels_of_an_axis_keep_apart(name: str) -> None:
    """Upright ones: of slanted ones the boxes overlap where the words do not."""
    with house_style():
        figure, renderer = drawn(name)
        for axes in figure.axes:
            shown = [t for t in axes.get_xticklabels() if t.get_text() and not t.get_rotation()]
            inside = [t for t in shown if axes.get_xlim()[0] <= t.get_position()[0]]
            boxes = sorted((t.get_window_extent(renderer) for t in inside), key=lambda b: b.x0)
            for left, right in pairwise(boxes):
                assert left.x1 < right.x0, f"labels run together at {left.x1:.0f}"
