"""RL runs in pairs, an arrow each: from the unguarded run to the same one under the guard.

To the left less is lost by the objective that loses most, and upwards more is reached; beyond the
dotted line it counts as sacrificed, where sampling alone does not explain it. A cross at an arrow's
start: an objective was sacrificed there, and the guarded run's weights μ are largest on another.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, MUTED, SCALARIZERS
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.constants import SACRIFICE
from covlaw.records.findings import counted
from covlaw.records.guard_pairs import PAIRS, Pair, named, pairs_of
from covlaw.records.lines import read_records
from covlaw.records.study import percent


def draw(run: Path) -> Figure:
    """Draw a panel a base model."""
    pairs = pairs_of(read_records(run / PAIRS))
    bases = list(dict.fromkeys(kept["base"] for _, kept in pairs))
    figure = new_figure(2.9)
    panels = figure.subplots(1, len(bases), sharex=True, sharey=True, squeeze=False)[0]
    for axes, base in zip(panels, bases, strict=True):
        _arrows(axes, [pair for pair in pairs if pair[1]["base"] == base])
        axes.set_title(base)
        axes.set_xlabel("worst loss, share of\nwhat there was to lose")
    panels[0].set(ylabel="hypervolume", xlim=(-0.06, 1.06))
    known = {kept["algorithm"] for _, kept in pairs}
    for name in sorted(known, key=list(SCALARIZERS).index):
        look = SCALARIZERS[name]
        panels[0].plot([], [], look.marker, color=look.color, markersize=5, label=name)
    panels[0].plot([], [], "x", color=INK, markersize=4, label="μ names another")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def describe(run: Path) -> Description:
    """Count who sacrifices, with and without, and how often μ names the loser."""
    pairs = pairs_of(read_records(run / PAIRS))
    lost = [pair for pair in pairs if any(pair[0]["sacrificed"])]
    kept = sum(any(guarded["sacrificed"]) for _, guarded in pairs)
    bases = len({guarded["base"] for _, guarded in pairs})
    right = sum(named(*pair) for pair in lost)
    title = (
        f"Of {counted(len(pairs), 'RL run')} on {counted(bases, 'base model')} {len(lost)} "
        f"sacrifice an objective unguarded and {kept} guarded; μ names the loser in {right} of "
        f"{len(lost)}"
    )
    steps = sorted({guarded["steps"] for _, guarded in pairs})
    seeds = sorted({guarded["seed"] for _, guarded in pairs})
    cells = {(guarded["base"], guarded["algorithm"]) for _, guarded in pairs}
    some = "" if len(pairs) == len(cells) * len(seeds) else ", not every one of every pair"
    caption = (
        f"Ends after {' or '.join(map(str, steps))} steps of two inner steps, not at equal KL; "
        f"seeds {', '.join(map(str, seeds))}{some}. Arrows lead from a run without the guard "
        "(mark) to its twin with it (head), as the guard is by default; "
        f"dotted: {percent(SACRIFICE)}, from which on an objective can count as sacrificed. "
        "Hypervolume: more is better."
    )
    return Description(title, caption)


def _arrows(axes: Axes, pairs: Sequence[Pair]) -> None:
    axes.axvline(SACRIFICE, color=MUTED, linewidth=0.8, linestyle=":")
    for bare, kept in pairs:
        look = SCALARIZERS[kept["algorithm"]]
        start, end = ((max(row["regression"]), row["hypervolume"]) for row in (bare, kept))
        arrow = {"arrowstyle": "-|>", "color": look.color, "linewidth": 1.1, "shrinkA": 0}
        if np.hypot(*np.subtract(start, end)) > 0:
            axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
        axes.plot(*start, look.marker, color=look.color, markersize=5, clip_on=False)
        if any(bare["sacrificed"]) and not named(bare, kept):
            axes.plot(*start, "x", color=INK, markersize=4, clip_on=False)
    axes.grid(color=GRID)


if __name__ == "__main__":
    draw_alone(__spec__)
