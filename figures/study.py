"""Who is sacrificed, by which algorithm, in which world; and what is reached meanwhile.

Rows are algorithms, the safest family first. At equal KL from the start the larger step is not the
worse algorithm; at the end it often is. Read shares and volume together: an algorithm that
sacrifices no one and reaches no more volume than before training has only declined to learn.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import DARK, GRID, INK, MUTED, ON_DARK, ON_LIGHT, PAPER, SHADES
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.findings import span
from covlaw.records.study import (
    ALL,
    END,
    Cells,
    compared_at,
    families,
    lead_of,
    mean_of,
    measured,
    percent,
    study_summary,
    table_of,
)

SLATE = LinearSegmentedColormap.from_list("slate", SHADES)
"""Every cell also says its number."""


def draw(run: Path) -> Figure:
    """Draw shares of runs as heat maps, and beside them the volume that the runs reach."""
    summary = study_summary(run)
    cells, worlds, names = table_of(summary)
    compared = compared_at(summary)
    figure = new_figure(0.9 + 0.19 * len(names))
    ratio = {"width_ratios": (*(len(worlds) * 0.85 for _ in compared), 0.36 * len(worlds))}
    panels = figure.subplots(1, len(compared) + 1, sharey=True, gridspec_kw=ratio)
    for axes, place in zip(panels, compared, strict=False):
        _shares(axes, cells, worlds, names, place)
    _volumes(panels[-1], cells, lead_of(worlds), names, compared[0])
    return figure


def describe(run: Path) -> Description:
    """Compare the usual weights with the safest algorithm."""
    summary = study_summary(run)
    cells, worlds, names = table_of(summary)
    lead, place = lead_of(worlds), compared_at(summary)[0]
    own = {name: cells[name, lead] for name in names if (name, lead) in cells}
    known = [name for name, cell in own.items() if measured(cell, "sacrifices", place)]
    share = {name: mean_of(own[name], "sacrifices", place) for name in known}
    volume = {name: mean_of(own[name], "hypervolume", place) for name in known}
    safest = min(known, key=lambda name: (share[name], -volume[name]))
    best = max(known, key=lambda name: volume[name])
    compared = [name for name in ("linear", "ctwa") if name in share and name != safest]
    said = ", ".join(f"{name} {percent(share[name])}" for name in (*compared, safest))
    runs = span([cells[key]["runs"] for key in cells if key[1] != ALL], to=" to ")
    intervals = [m for c in cells.values() if (m := measured(c, "sacrifices", place))]
    widest = max((m["high"] - m["low"]) / 2 for m in intervals)
    where = _where(lead) + ("" if place == END else f" at {place} nats")
    title = f"Runs that sacrifice an objective {where}: {said}; most volume: {best}"
    equal = f"where KL from the start reaches {place} nats; middle: at their end. " * (place != END)
    caption = (
        f"{summary['runs']:,} runs, {runs} per algorithm and world, seeds from {summary['seed']}. "
        f"Left: share of runs in % with an objective more than {percent(summary['threshold'])} of "
        f"what it had to lose below its start, {equal or 'at their end; '}95 % intervals, by "
        f"bootstrap over drawn worlds, are ± {100 * widest:.1f} points or less. Right: hypervolume "
        f"{where}, with its interval; the line is the volume before training, and an algorithm "
        "near it hardly learns. “-ref” is the reference implementation's behaviour."
    )
    return Description(title, caption)


def _shares(axes: Axes, cells: Cells, worlds: list[str], names: list[str], place: str) -> None:
    found = [[mean_of(cells.get((n, w)), "sacrifices", place) for w in worlds] for n in names]
    edges = [np.arange(count + 1) - 0.5 for count in (len(worlds), len(names))]
    # cells as vectors: a picture inside an SVG would be refused by a page that loads nothing
    axes.pcolormesh(*edges, np.asarray(found), cmap=SLATE, vmin=0, vmax=1)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for y, row in enumerate(found):
        for x, share in enumerate(row):
            # a cell without a share is paper, which a dark page exchanges with the ink
            color = INK if np.isnan(share) else ON_DARK if share > DARK else ON_LIGHT
            text = "–" if np.isnan(share) else f"{100 * share:.0f}"
            size = 7.5 if len(worlds) < 6 else 6
            axes.text(x, y, text, ha="center", va="center", fontsize=size, color=color)
    many: dict[str, Any] = {"rotation": 90, "fontsize": 6.5} if len(worlds) > 5 else {}
    shown = [world if many else world.replace("_", "\n") for world in worlds]
    axes.set_xticks(range(len(worlds)), shown, **many)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(
        "% of runs that sacrifice an objective" if place == END and not many else _said(place)
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if worlds[-1] == ALL:
        axes.axvline(len(worlds) - 1.5, color=PAPER, linewidth=3)
    for edge in _breaks(names):
        axes.axhline(edge, color=PAPER, linewidth=2)


def _volumes(axes: Axes, cells: Cells, world: str, names: list[str], place: str) -> None:
    for k, name in enumerate(names):
        volume = measured(cells[name, world], "hypervolume", place)
        if volume is not None:
            ends = [[volume["mean"] - volume["low"]], [volume["high"] - volume["mean"]]]
            look: dict[str, Any] = {"color": INK, "markersize": 3.5, "linewidth": 1}
            axes.errorbar([volume["mean"]], [k], xerr=ends, fmt="o", **look)
    start = np.mean([cells[name, world]["hypervolume_start"]["mean"] for name in names])
    axes.axvline(float(start), color=MUTED, linewidth=1, linestyle="--")
    axes.set(title="hypervolume", xlim=(0, None))
    axes.grid(axis="x", color=GRID)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.spines["left"].set_visible(False)


def _breaks(names: list[str]) -> list[float]:
    """Where one family of algorithms ends and the next begins."""
    kin = families(names)
    return [k - 0.5 for k in range(1, len(names)) if kin[names[k]] != kin[names[k - 1]]]


def _said(place: str) -> str:
    return "% that sacrifice, at the end" if place == END else f"% that sacrifice, at KL {place}"


def _where(world: str) -> str:
    return "over all worlds" if world == ALL else f"in {world}"


if __name__ == "__main__":
    draw_alone(__spec__)
