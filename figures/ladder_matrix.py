"""Every statement on every rung, at a glance."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.style import GRID, INK, MUTED, new_figure
from covlaw.figures.registry import Description
from covlaw.records.ladder import verdict_file
from covlaw.theory.worlds.rungs import RUNG_NAMES

STATUS = {
    "holds": ("✓", "#009e73", "holds"),
    "refuted": ("✗", "#d55e00", "refuted"),
    "inconclusive": ("?", "#e69f00", "inconclusive"),
    "not_applicable": ("–", GRID, "not applicable"),
}
"""Symbol, colour and word of each status."""


BAND = 24
"""Statements side by side at most; the rest go on in a band beneath."""


def draw(run: Path) -> Figure:
    """Draw a row a rung and a column a statement, in bands of a readable width."""
    verdicts = verdict_file(run)["verdicts"]
    statements = list(dict.fromkeys(v["id"] for v in verdicts))
    rungs = rungs_of(verdicts)
    bands = max(math.ceil(len(statements) / BAND), 1)
    width = max(math.ceil(len(statements) / bands), 1)
    figure = new_figure(0.5 + bands * (0.45 + 0.26 * len(rungs)))
    panels = figure.subplots(bands, 1, squeeze=False)[:, 0]
    for band, axes in enumerate(panels):
        own = statements[band * width : (band + 1) * width]
        _band(axes, own, rungs, width, [v for v in verdicts if v["id"] in own])
    return figure


def describe(run: Path) -> Description:
    """Count the verdicts."""
    record = verdict_file(run)
    verdicts = record["verdicts"]
    count = Counter(v["status"] for v in verdicts)
    judged = len(verdicts) - count["not_applicable"]
    title = f"{count['holds']} of {judged} checks hold, {count['refuted']} refuted"
    if count["inconclusive"]:
        title += f", {count['inconclusive']} inconclusive"
    statements = len({v["id"] for v in verdicts})
    comparisons = sum(v["n"] for v in verdicts)
    symbols = ", ".join(f"{symbol} {word}" for symbol, _, word in STATUS.values())
    caption = (
        f"{statements} statements on {len(rungs_of(verdicts))} rungs, {comparisons:,} comparisons, "
        f"seed {record['seed']}. {symbols}. A check holds only if its negative control, a "
        "plausible false variant, is refuted by the same judge."
    )
    return Description(title, caption)


def rungs_of(verdicts: list[dict[str, Any]]) -> list[str]:
    """Rungs that occur, from theory up; rungs of plug-ins after ours."""
    found = {v["rung"] for v in verdicts}
    return [r for r in RUNG_NAMES if r in found] + sorted(found - set(RUNG_NAMES))


def _band(
    axes: Axes, ids: list[str], rungs: list[str], width: int, verdicts: list[dict[str, Any]]
) -> None:
    for verdict in verdicts:
        _cell(axes, ids.index(verdict["id"]), rungs.index(verdict["rung"]), verdict)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(max(len(rungs), 1) - 0.5, -0.5)
    axes.set_xticks(range(len(ids)), ids, fontsize=7.5)
    axes.set_yticks(range(len(rungs)), rungs)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _cell(axes: Axes, x: int, y: int, verdict: dict[str, Any]) -> None:
    symbol, color, _ = STATUS[verdict["status"]]
    blank = verdict["status"] == "not_applicable"
    if not blank:
        axes.add_patch(Rectangle((x - 0.44, y - 0.42), 0.88, 0.84, facecolor=color, alpha=0.35))
    axes.text(x, y, symbol, ha="center", va="center_baseline", color=MUTED if blank else INK)


if __name__ == "__main__":
    draw_alone(__spec__)
