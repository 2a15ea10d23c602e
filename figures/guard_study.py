"""The guard in the study: what a run sacrifices and reaches without it, and with it.

An arrow an algorithm, from unguarded to guarded with step control; the small dot on the way is the
guard alone. To the left is better, and upwards. The lower panels have linear weights only: what
else was tried, and what is left where the guard sees a few completions of each prompt.
"""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, MUTED, SCALARIZERS
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.findings import span
from covlaw.records.study import END, in_order, mean_of, percent, study_summary

SHOWN = ("linear", "gdpo", "ctwa-guided", "mgda", "upgrad")
LOOKS = {name: SCALARIZERS[name] for name in SHOWN}
BEST, BASE = "guard-curvature", "linear"
SAMPLED = ("guard", "guard-crossed", "guard-restoring-1")
"""Whose gradients come from a few completions in the last panel."""
CONTROLLED, NOISY = "transformer adamw-.01", "transformer adamw-.003"
Cells = dict[tuple[str, str, str, int], dict[str, Any]]
"""(world, algorithm, guard, samples) → what was measured at the end."""


def draw(run: Path) -> Figure:
    """Draw the arrows of each setting of the transformers, and the controls beneath."""
    cells = _cells(run)
    worlds = _worlds(cells)
    figure = new_figure(5.6)
    grid = figure.add_gridspec(2, 1, height_ratios=(1, 1.35))
    upper, lower = grid[0].subgridspec(1, len(worlds)), grid[1].subgridspec(1, 2)
    panels: list[Axes] = []
    for k, world in enumerate(worlds):
        shared = panels[0] if panels else None
        panels.append(figure.add_subplot(upper[k], sharex=shared, sharey=shared))
        _arrows(panels[-1], cells, world)
        panels[-1].tick_params(labelleft=k == 0)
    panels[0].set_ylabel("hypervolume")
    for axes in panels:
        axes.set_xlabel("% that sacrifice")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    left, right = (figure.add_subplot(lower[k]) for k in (0, 1))
    _ways(left, {g: c for (w, a, g, k), c in cells.items() if (w, a, k) == (CONTROLLED, BASE, 0)})
    left.set_title(f"{_short(CONTROLLED)}, {BASE}: controls")
    noisy = {
        f"{g}, K = {k}" if k else g: c
        for (w, a, g, k), c in sorted(cells.items(), key=lambda item: (item[0][2], item[0][3]))
        if (w, a) == (NOISY, BASE) and (g == "none" or (k and g in SAMPLED))
    }
    _ways(right, noisy)
    right.set_title(f"{_short(NOISY)}, K completions seen")
    return figure


def describe(run: Path) -> Description:
    """Say what the guard does to linear weights at each rate."""
    cells, summary = _cells(run), study_summary(run)
    said = []
    for world in _worlds(cells):
        two = [cells.get((world, BASE, guard, 0)) for guard in ("none", BEST)]
        if None not in two:
            shares = [percent(c["sacrifices"]["mean"]) for c in two if c]
            said.append(f"{_short(world)} {' → '.join(shares)}")
    title = f"Linear weights that sacrifice an objective, guarded: {', '.join(said)}"
    worlds = span([c["sacrifices"]["n"] for c in cells.values()], to=" to ")
    caption = (
        f"{summary['runs']:,} runs, {worlds} drawn worlds a point, the same for "
        f"all points of a panel; seeds from {summary['seed']}. Transformers after 20 steps. Above: "
        "arrows from no guard to the guard with floors raised by the curvature seen (T60), small "
        "dots: the guard alone. Below: bars are runs that sacrifice an objective in %, numbers "
        "behind them hypervolume."
    )
    return Description(title, caption)


def _arrows(axes: Axes, cells: Cells, world: str) -> None:
    for name, look in LOOKS.items():
        found = [cells.get((world, name, guard, 0)) for guard in ("none", "guard", BEST)]
        if None in found:
            continue
        x, y = ([mean_of(c, m) for c in found] for m in ("sacrifices", "hypervolume"))
        arrow = {"arrowstyle": "-|>", "color": look.color, "linewidth": 1.4, "shrinkA": 0}
        ends = (100 * x[2], y[2]), (100 * x[0], y[0])
        axes.annotate("", xy=ends[0], xytext=ends[1], arrowprops=arrow)
        axes.plot(*ends[1], look.marker, color=look.color, markersize=5, label=name, clip_on=False)
        axes.plot(100 * x[1], y[1], ".", color=look.color, markersize=5, clip_on=False)
    axes.set_title(_short(world))
    axes.set_xlim(-4, 104)
    axes.grid(color=GRID)


def _ways(axes: Axes, found: dict[str, dict[str, Any]]) -> None:
    """One bar a way: the share that sacrifices, and the volume beside it."""
    for k, cell in enumerate(found.values()):
        share, volume = 100 * mean_of(cell, "sacrifices"), mean_of(cell, "hypervolume")
        low, high = (100 * cell["sacrifices"][end] for end in ("low", "high"))
        axes.barh(k, share, color=LOOKS[BASE].color, height=0.65)
        axes.plot([low, high], [k, k], color=INK, linewidth=1)
        axes.text(max(high, 0) + 2, k, f"{volume:.3f}", va="center", fontsize=6.5, color=MUTED)
    axes.set_yticks(range(len(found)), list(found), fontsize=6.5)
    axes.set(ylim=(max(len(found), 1) - 0.5, -0.5), xlim=(0, 118), xticks=range(0, 101, 25))
    axes.set_xlabel("% that sacrifice, and hypervolume")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _cells(run: Path) -> Cells:
    return {
        (c["world"], c["algorithm"], c["guard"], c["samples"]): c["at"][END]
        for c in study_summary(run)["guards"]
        if c["at"][END]["sacrifices"]["n"]
    }


def _worlds(cells: Cells) -> list[str]:
    """The transformers' settings, or all where there are none."""
    every = in_order([world for world, *_ in cells])
    return [world for world in every if world.startswith("transformer")] or every[:4]


def _short(world: str) -> str:
    return world.removeprefix("transformer ")


if __name__ == "__main__":
    draw_alone(__spec__)
