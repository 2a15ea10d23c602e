"""A colour means the same in every figure, and is never alone in saying it."""

import re
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from covlaw.figures._drawing.looks import (
    DARK,
    MIST,
    NEUTRALS,
    OBJECTIVES,
    ON_DARK,
    ON_LIGHT,
    OTHER_SCALARIZERS,
    SAND,
    SCALARIZERS,
    SHADES,
    SNOW,
    VERDICTS,
)
from covlaw.figures._drawing.render import inline_svg, record_for
from covlaw.figures.law_budget import FULL, SHORT
from covlaw.figures.study import SLATE

ROOT = Path(__file__).parents[2]
ALGORITHMS = {look.color for look in (*SCALARIZERS.values(), *OTHER_SCALARIZERS)}
REWARDS = {look.color for look in OBJECTIVES}
DULL = {*(look.color for look in NEUTRALS), SAND, MIST, SNOW}
APART = 20.0
"""CIE76: some ten times what is just seen, for marks that are not side by side."""


def lab(color: str) -> np.ndarray:
    """CIELAB of #rrggbb under D65, from the definitions of sRGB and CIE 1976."""
    coded = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    share = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def luminance(color: str) -> float:
    """Y of the colour, white being 1."""
    lightness = lab(color)[0]
    return float(((lightness + 16) / 116) ** 3 if lightness > 8 else lightness / 903.3)


def contrast(color: str, other: str = "#ffffff") -> float:
    """Of WCAG."""
    dark, light = sorted((luminance(color), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_distance_is_that_of_known_colours() -> None:
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=0.1)
    assert lab("#ff0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.1)
    assert contrast("#767676") == pytest.approx(4.54, abs=0.02)


@pytest.mark.parametrize(("first", "second"), list(combinations((ALGORITHMS, REWARDS, DULL), 2)))
def test_no_family_has_a_colour_of_another(first: set[str], second: set[str]) -> None:
    near = {
        (a, b): float(np.linalg.norm(lab(a) - lab(b)))
        for a, b in product(first, second)
        if np.linalg.norm(lab(a) - lab(b)) < APART
    }
    assert near == {}


def test_what_is_neither_algorithm_nor_objective_is_dull() -> None:
    chroma = {color: float(np.hypot(*lab(color)[1:])) for color in ALGORITHMS | REWARDS | DULL}
    assert max(chroma[color] for color in DULL) < min(chroma[c] for c in ALGORITHMS | REWARDS)


@pytest.mark.parametrize("family", [OBJECTIVES, NEUTRALS])
def test_a_family_is_told_apart_without_colour(family: tuple) -> None:
    assert len({look.marker for look in family}) == len(family)
    assert all(contrast(look.color) >= 2.8 for look in family)


@pytest.mark.parametrize("terms", [SHORT, FULL])
def test_terms_of_a_budget_are_told_apart_without_colour(terms: dict) -> None:
    assert len({look.hatch for look in terms.values()}) == len(terms)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, ON_LIGHT), (DARK, ON_LIGHT), (DARK, ON_DARK), (1.0, ON_DARK)]
)
def test_the_number_on_a_shade_can_be_read(share: float, text: str) -> None:
    low, high = (np.array([int(end[k : k + 2], 16) for k in (1, 3, 5)]) for end in SHADES)
    shade = "#" + "".join(f"{round(c):02x}" for c in low + share * (high - low))
    assert contrast(shade, text) >= 4.45  # a cell is one of 256 shades


def test_a_page_can_restyle_hatched_surfaces_too() -> None:
    drawn = inline_svg("law_budget", record_for("law_budget"))
    assert not re.search(r'"#[0-9a-f]{6}"|:#[0-9a-f]{6}', drawn)
    assert f"fill:var(--c{SAND[1:]},{SAND})" in drawn


def test_a_dark_page_leaves_shades_as_they_are() -> None:
    page = (ROOT / "ladder" / "templates" / "report.css").read_text(encoding="utf-8")
    restyled = {f"#{color}" for color in re.findall(r"--c(\w{6}):", page)}
    assert len(restyled) > 20
    assert not restyled & {to_hex(SLATE(k)) for k in range(256)}


def test_no_figure_has_a_colour_of_its_own() -> None:
    files = [p for p in (ROOT / "figures").rglob("*.py") if p.name != "looks.py"]
    own = {
        p.name: re.findall(r"#[0-9a-fA-F]{6}\b|['\"]C\d['\"]|tab:", p.read_text()) for p in files
    }
    assert {name: found for name, found in own.items() if found} == {}


def test_verdicts_are_coloured_as_in_the_report() -> None:
    page = (ROOT / "ladder" / "templates" / "report.css").read_text(encoding="utf-8")
    light = page[: page.index("@media")]
    assert {f"--{name}: {color}" for name, color in VERDICTS.items()} <= set(
        re.findall(r"--\w+: #\w{6}", light)
    )


def test_a_dark_page_restyles_every_colour_that_it_would_hide() -> None:
    page = (ROOT / "ladder" / "templates" / "report.css").read_text(encoding="utf-8")
    known = dict(re.findall(r"--c(\w{6}): (#\w{6})", page))
    paper = lab("#0f1318")[0]
    for color in ALGORITHMS | REWARDS | DULL | set(VERDICTS.values()):
        shown = known.get(color[1:], color)
        assert abs(lab(shown)[0] - paper) > 8, color
