"""Runs on a real model: rewards with and without the guard, whom it defends, what is left held out.

A column an objective. Above, mean rewards of the batches; in the middle each objective's share of
the guard's weights μ; beneath, the change on held-out prompts, and the law's forecast for equal
weights from samples of the base, in its own units.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.curves import WINDOW, smoothed_curves
from covlaw.figures._drawing.looks import GRID, GUARDED, INK, MUTED, Look, scalarizer_looks
from covlaw.figures._drawing.style import new_figure, shorten, zero_line_across
from covlaw.figures.registry import Description
from covlaw.records import real
from covlaw.records.findings import counted
from covlaw.records.ladder import array
from covlaw.theory.estimators.bootstrap import Interval


def draw(run: Path) -> Figure:
    """Draw curves, shares of μ and held-out changes."""
    record = real.real_record(run)
    names, looks = record["objectives"], _looks(record)
    guarded = real.runs_of(record, real.GUARDED)
    figure = new_figure(4.9)
    ratios = (2.0, 1.0, 0.35 + 0.22 * (len(looks) + 1))
    axes = figure.subplots(3, len(names), squeeze=False, gridspec_kw={"height_ratios": ratios})
    for j, name in enumerate(names):
        axes[0, j].set_title(shorten(name))
        for method, look in looks.items():
            curves = [array(r["reward_mean"])[:, j] for r in real.runs_of(record, method)]
            smoothed_curves(axes[0, j], curves, look, method)
        if guarded:
            shares = [array(r["guard"]["shares"])[:, j] for r in guarded]
            smoothed_curves(axes[1, j], shares, GUARDED, "")
        axes[1, j].set_xlabel("step")
        _changes(axes[2, j], record, j, looks)
        for row in (0, 1):
            axes[row, j].set_ylim(0, 1.03)
            axes[row, j].tick_params(labelleft=j == 0)
        axes[0, j].tick_params(labelbottom=False)
        axes[1, j].set_xlim(axes[0, j].get_xlim())
        axes[2, j].tick_params(labelleft=j == 0)
    axes[0, 0].set_ylabel("mean reward")
    axes[1, 0].set_ylabel("share of μ")
    limits = [below.get_xlim() for below in axes[2]]
    for below in axes[2]:
        below.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
    figure.align_ylabels(axes[:2, 0])
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(looks))
    return figure


def describe(run: Path) -> Description:
    """Say what linear weights did held out, and what they did under the guard."""
    record = real.real_record(run)
    shown = [m for m in (real.PLAIN, real.GUARDED) if real.runs_of(record, m)] or list(
        _looks(record)
    )[:1]
    found = [real.held_out_change(record, method) for method in shown]
    cells = zip(record["objectives"], *found, strict=True)
    said = [f"{name} {' → '.join(_signed(c.mean) for c in own)}" for name, *own in cells]
    title = f"{record['model']} held out, {' → '.join(shown)}: {', '.join(said)}"
    steps = next(iter(record["runs"].values()))["steps"]
    seeds = real.seeds(record)
    counts = [f"{method} {len(real.runs_of(record, method))}" for method in _looks(record)]
    caption = (
        f"{counted(len(record['runs']), 'run')} of {steps} steps, "
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))} ({', '.join(counts)}). "
        f"Curves are smoothed over {WINDOW} steps: thin lines one run each, thick ones their mean. "
        "Methods stand side by side after as many steps, not at equal KL. "
        f"Beneath, held-out prompts ({record['sizes']['prompts']}, "
        f"{record['sizes']['completions']} completions each): change from the base, mean over "
        "seeds with the 95 % bootstrap interval over prompts, small dots the seeds; in grey the "
        "law's forecast, Cov of the reward with the sum of all, whose sign alone can be compared."
    )
    return Description(title, caption)


def _changes(axes: Axes, record: real.Record, j: int, looks: dict[str, Look]) -> None:
    """One objective's held-out change by each method, and the law's covariance above them."""
    law = record["law"]
    axes.errorbar(
        law["estimate"][j], 0, xerr=1.96 * law["se"][j], fmt="x", color=MUTED, markersize=4
    )
    for k, (method, look) in enumerate(looks.items(), start=1):
        found: Interval = real.held_out_change(record, method)[j]
        sides = [[found.mean - found.low], [found.high - found.mean]]
        axes.errorbar(found.mean, k, xerr=sides, fmt=look.marker, color=look.color, markersize=4.5)
        own = [r["held_out"][record["objectives"][j]]["mean"] for r in real.runs_of(record, method)]
        if len(own) > 1:
            axes.plot(own, np.full(len(own), k + 0.25), ".", color=look.color, markersize=3)
    zero_line_across(axes)
    axes.set_yticks(range(len(looks) + 1), ["law", *looks], fontsize=7)
    axes.set_ylim(len(looks) + 0.6, -0.6)
    axes.set_xlabel("change")
    axes.grid(axis="x", color=GRID)
    axes.spines["left"].set_color(INK)


def _looks(record: real.Record) -> dict[str, Look]:
    """Look of each method; the guarded runs' is the guard's."""
    found = real.methods(record)
    plain = scalarizer_looks([name for name in found if name != real.GUARDED])
    return {name: GUARDED if name == real.GUARDED else plain[name] for name in found}


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


if __name__ == "__main__":
    draw_alone(__spec__)
