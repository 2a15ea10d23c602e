"""Who is sacrificed, by which algorithm, in which world; and what is reached meanwhile.

Rows are algorithms, the safest family first. Read the two sides together: an algorithm that
sacrifices no one and reaches no more volume than before training has only declined to learn.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.style import GRID, INK, MUTED, PAPER, new_figure
from covlaw.figures.registry import Description
from covlaw.records.study import ALL, families, percent, study_summary, table_of

SHADES = "Blues"
"""Light to dark in greyscale too; every cell also says its number."""
ON_LIGHT, ON_DARK = "#010101", "#fefefe"
"""Text in cells; not the house's ink and paper, which a dark page exchanges while shades stay."""
DARK = 0.715
"""Shares beyond it are written in white: with it no contrast is below 4.5."""


def draw(run: Path) -> Figure:
    """Draw shares of runs as a heat map, and beside it the volume that the runs reach."""
    summary = study_summary(run)
    cells, worlds, names = table_of(summary)
    figure = new_figure(0.6 + 0.19 * len(names))
    ratio = {"width_ratios": (len(worlds) * 0.85, 1.8)}
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw=ratio)
    _shares(left, cells, worlds, names)
    _volumes(right, cells, worlds[-1], names)
    return figure


def describe(run: Path) -> Description:
    """Compare the usual weights with the safest algorithm."""
    summary = study_summary(run)
    cells, worlds, names = table_of(summary)
    last = worlds[-1]
    share = {name: cells[name, last]["sacrifices"]["mean"] for name in names}
    safest = min(names, key=lambda name: (share[name], -_volume(cells, name, last)))
    best = max(names, key=lambda name: _volume(cells, name, last))
    compared = [name for name in ("linear", "ctwa") if name in share and name != safest]
    said = ", ".join(f"{name} {percent(share[name])}" for name in (*compared, safest))
    counts = sorted({cells[key]["runs"] for key in cells if key[1] != ALL})
    runs = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    widest = max(
        (c["sacrifices"]["high"] - c["sacrifices"]["low"]) / 2
        for c in cells.values()
        if c["sacrifices"]
    )
    title = f"Runs that sacrifice an objective: {said}; most volume: {best}"
    caption = (
        f"{summary['runs']:,} runs, {runs} per algorithm and world, seeds from {summary['seed']}. "
        f"Left: share of runs in % that end with an objective more than "
        f"{percent(summary['threshold'])} of what it had to lose below its start; 95 % intervals, "
        f"by bootstrap over drawn worlds, are ± {100 * widest:.1f} points or less. Right: "
        f"hypervolume of the final policy, {_where(last)}, with its interval; the line is the "
        "volume before training, and an algorithm near it hardly learns. “-ref” is the reference "
        "implementation's behaviour."
    )
    return Description(title, caption)


def _shares(axes: Axes, cells: dict[Any, Any], worlds: list[str], names: list[str]) -> None:
    found = [[_mean(cells.get((name, world))) for world in worlds] for name in names]
    edges = [np.arange(count + 1) - 0.5 for count in (len(worlds), len(names))]
    # cells as vectors: a picture inside an SVG would be refused by a page that loads nothing
    axes.pcolormesh(*edges, np.asarray(found), cmap=SHADES, vmin=0, vmax=1)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for y, row in enumerate(found):
        for x, share in enumerate(row):
            color = ON_DARK if share > DARK else ON_LIGHT
            text = "–" if np.isnan(share) else f"{100 * share:.0f}"
            axes.text(x, y, text, ha="center", va="center", fontsize=7.5, color=color)
    axes.set_xticks(range(len(worlds)), [world.replace("_", "\n") for world in worlds])
    axes.set_yticks(range(len(names)), names)
    axes.set_title("% of runs that sacrifice an objective")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if worlds[-1] == ALL:
        axes.axvline(len(worlds) - 1.5, color=PAPER, linewidth=3)
    for place in _breaks(names):
        axes.axhline(place, color=PAPER, linewidth=2)


def _volumes(axes: Axes, cells: dict[Any, Any], world: str, names: list[str]) -> None:
    found = [cells[name, world]["hypervolume"] for name in names]
    place = np.arange(len(names))
    centre = np.asarray([v["mean"] for v in found])
    ends = np.asarray([[v["mean"] - v["low"], v["high"] - v["mean"]] for v in found]).T
    axes.errorbar(centre, place, xerr=ends, fmt="o", color=INK, markersize=3.5, linewidth=1)
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


def _mean(cell: dict[str, Any] | None) -> float:
    return float(cell["sacrifices"]["mean"]) if cell and cell["sacrifices"] else float("nan")


def _volume(cells: dict[Any, Any], name: str, world: str) -> float:
    return float(cells[name, world]["hypervolume"]["mean"])


def _where(world: str) -> str:
    return "over all worlds" if world == ALL else f"in world {world}"


if __name__ == "__main__":
    draw_alone(__spec__)
