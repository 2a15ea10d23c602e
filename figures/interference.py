"""Who pays: each objective over training under each scalarizer, the law's forecast beneath."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures.alone import draw_alone
from covlaw.figures.findings import TWO_SIDED_95, counted, interference_claim, scalarizers
from covlaw.figures.records import Array, LlmRun, audits, llm_runs
from covlaw.figures.registry import Description
from covlaw.figures.style import (
    Look,
    new_figure,
    objective_columns,
    scalarizer_looks,
    shorten,
    zero_line,
)


def draw(run: Path) -> Figure:
    """Draw reward curves (top) and the law's forecasts at the audits (bottom)."""
    runs = llm_runs(run)
    looks = scalarizer_looks(scalarizers(runs))
    figure = new_figure(4.0)
    axes = objective_columns(figure, len(runs[0].objectives), (2.2, 1))
    for column, name in enumerate(runs[0].objectives):
        curve, forecast = axes[:, column]
        curve.set_title(shorten(name))
        for scalarizer, look in looks.items():
            own = [r for r in runs if r.scalarizer == scalarizer]
            _curves(curve, own, column, look, scalarizer)
            _forecasts(forecast, own, column, look, "first_order")
            _forecasts(forecast, own, column, look, "law")
        zero_line(forecast)
        forecast.set_xlabel("step")
    axes[0, 0].set_ylabel("mean reward of a batch")
    axes[1, 0].set_ylabel("forecast of\none step's change")
    axes[0, 0].legend(loc="best")
    return figure


def describe(run: Path) -> Description:
    """Say who lost what, and what the picture holds."""
    runs = llm_runs(run)
    seeds = sorted({r.seed for r in runs})
    count = len(audits(runs))
    caption = (
        f"{counted(len(runs), 'run')}, seeds {', '.join(map(str, seeds))}: thin lines one run "
        "each, thick lines their mean, smoothed over 5 steps. A run loses an objective if its "
        "last tenth lies below half of its first tenth. "
    )
    if count:
        caption += (
            f"Beneath: what one update was forecast to change, at {counted(count, 'audit')} on "
            "samples apart from its batch. Filled: the law along the optimiser's step, "
            "Cov(r, ⟨∇log π, u⟩); hollow: the bare law, c·Cov(r, s). Bars are 95 % intervals."
        )
    return Description(interference_claim(runs), caption)


def _curves(axes: Axes, runs: list[LlmRun], column: int, look: Look, label: str) -> None:
    curves = [_smooth(run.column("reward_mean")[:, column]) for run in runs]
    for run, curve in zip(runs, curves, strict=True):
        axes.plot(run.column("step"), curve, color=look.color, linewidth=0.6, alpha=0.6)
    length = min(len(curve) for curve in curves)
    mean = np.mean([curve[:length] for curve in curves], axis=0)
    steps = runs[0].column("step")[:length]
    style: dict[str, Any] = {"color": look.color, "linestyle": look.line, "marker": look.marker}
    axes.plot(
        steps, mean, linewidth=2, markersize=4, markevery=max(1, length // 6), label=label, **style
    )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(axis="y")


def _forecasts(axes: Axes, runs: list[LlmRun], column: int, look: Look, prediction: str) -> None:
    found = audits(runs)
    if not found:
        return
    bare = prediction == "law"
    pairs = [audit.change(prediction) for audit in found]
    axes.errorbar(
        [audit.step + (0.7 if bare else 0) for audit in found],
        [estimate[column] for estimate, _ in pairs],
        yerr=[TWO_SIDED_95 * error[column] for _, error in pairs],
        fmt=look.marker,
        color=look.color,
        markerfacecolor="none" if bare else look.color,
        markersize=3.5,
        linewidth=0.8,
    )


def _smooth(values: Array, width: int = 5) -> Array:
    """Mean over the last `width` values; fewer at the start."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - width)
    smoothed: Array = (total[end] - total[start]) / (end - start)
    return smoothed


if __name__ == "__main__":
    draw_alone(__spec__)
