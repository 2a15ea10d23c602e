"""A compacted picture is the same picture: every point where it was, every style as it was."""

import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import pytest

from covlaw.figures._drawing.compact import compact
from covlaw.figures._drawing.render import record_for
from covlaw.figures._drawing.style import house_style
from covlaw.figures.registry import load

NEAR = 0.101
"""Points: a marker's place and its outline are rounded by .05 each."""
Drawn = tuple[str, list[tuple[float, float]]]


def drawn(svg: str) -> list[Drawn]:
    """(style, corners) of all that is drawn, uses resolved: plain affine maps of the XML tree."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own drawing
    by_id = {node.get("id"): node for node in root.iter() if node.get("id")}
    return list(_below(root, by_id, np.eye(3), ""))


def _below(node, by_id, outer, style) -> Iterator[Drawn]:  # type: ignore[no-untyped-def]
    kind = node.tag.rpartition("}")[2]
    if kind in ("defs", "clipPath"):
        return
    here = outer @ _matrix(node)
    style = ";".join(sorted(filter(None, {*style.split(";"), *_declared(node)})))
    if kind == "path":
        pairs = re.findall(r"(-?[\d.]+)[ ,](-?[\d.]+)", node.get("d") or "")
        yield style, [tuple((here @ (float(x), float(y), 1))[:2]) for x, y in pairs]
    if kind == "use":
        link = next(value for key, value in node.items() if key.endswith("href"))
        yield from _below(by_id[link[1:]], by_id, here, style)
    for child in node:
        yield from _below(child, by_id, here, style)


def _declared(node: ElementTree.Element) -> list[str]:
    own = re.sub(r"url\(#[^)]*\)", "hatched", node.get("style") or "")  # ids change
    return [part.replace(" ", "") for part in own.split(";")]


def _matrix(node: ElementTree.Element) -> np.ndarray:
    found = np.eye(3)
    for name, numbers in re.findall(r"(\w+)\(([^)]*)\)", node.get("transform") or ""):
        values = [float(n) for n in re.split(r"[ ,]+", numbers.strip())]
        part = np.eye(3)
        if name == "translate":
            part[:2, 2] = [*values, 0][:2]
        elif name == "scale":
            part[0, 0], part[1, 1] = values[0], values[-1]
        else:
            assert name == "rotate"
            turn = np.deg2rad(values[0])
            part[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        found = found @ part
    shift = np.eye(3)
    shift[:2, 2] = float(node.get("x") or 0), float(node.get("y") or 0)
    return found @ shift if node.tag.endswith("use") else found


def raw(name: str) -> str:
    buffer = io.StringIO()
    with house_style():
        load(name).draw(record_for(name)).savefig(buffer, format="svg")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["guard", "law_budget"])
def test_nothing_moves(name: str) -> None:
    before = raw(name)
    after = compact(before)
    assert len(after) < 0.6 * len(before)
    pairs = list(zip(drawn(before), drawn(after), strict=True))
    assert len(pairs) > 300
    for (style, corners), (kept, moved) in pairs:
        assert kept == style
        assert np.abs(np.subtract(corners, moved)).max(initial=0) <= NEAR


def test_a_coarser_picture_is_noticed() -> None:
    before = raw("guard")
    coarse = re.sub(r' x="(\d+)\.\d+"', r' x="\1"', compact(before))
    moves = [
        np.abs(np.subtract(a, b)).max(initial=0)
        for (_, a), (_, b) in zip(drawn(before), drawn(coarse), strict=True)
    ]
    assert max(moves) > NEAR


def test_compacting_again_changes_nothing() -> None:
    once = compact(raw("guard"))
    assert compact(once) == once
