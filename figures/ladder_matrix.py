"""Every statement on every rung, at a glance."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, MUTED, VERDICTS
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.ladder import verdict_file
from covlaw.records.outcomes import OUTCOMES, by_rung, outcome

LOOKS = {
    "exact": ("✓", VERDICTS["good"]),
    "sampled": ("≈", VERDICTS["good"]),
    "estimator": ("≡", MUTED),
    "refuted": ("✗", VERDICTS["bad"]),
    "inconclusive": ("?", VERDICTS["open"]),
    "not_applicable": ("–", GRID),
}
"""Symbol and colour of each outcome (`records.outcomes`)."""


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
    parts = [
        f"{rung} {counts['exact'] + counts['sampled']} of {_judged(counts)}"
        for rung, counts in by_rung(verdicts).items()
    ]
    refuted = sum(v["status"] == "refuted" for v in verdicts)
    title = f"Statements that hold: {', '.join(parts)}; {refuted or 'none'} refuted"
    symbols = ", ".join(
        f"{symbol}\N{NO-BREAK SPACE}{OUTCOMES[key]}" for key, (symbol, _) in LOOKS.items()
    )
    caption = (
        f"{sum(v['n'] for v in verdicts):,} comparisons, seed {record['seed']}. {symbols}. A "
        "statement holds only if its negative controls, its nearest plausible false variant among "
        "them, are refuted by the same judge on the same data. Identities of the estimator are "
        "algebra of the sample, and are not counted."
    )
    return Description(title, caption)


def rungs_of(verdicts: list[dict[str, Any]]) -> list[str]:
    """Rungs that occur, from theory up; rungs of plug-ins after ours."""
    return list(by_rung(verdicts))


def _judged(counts: Counter[str]) -> int:
    """Statements that could hold or fail: neither inapplicable nor algebra of the sample."""
    return counts.total() - counts["not_applicable"] - counts["estimator"]


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
    symbol, color = LOOKS[outcome(verdict)]
    blank = verdict["status"] == "not_applicable"
    if not blank:
        axes.add_patch(Rectangle((x - 0.44, y - 0.42), 0.88, 0.84, facecolor=color, alpha=0.35))
    axes.text(x, y, symbol, ha="center", va="center_baseline", color=MUTED if blank else INK)


if __name__ == "__main__":
    draw_alone(__spec__)
