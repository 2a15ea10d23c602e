"""Who pays: each objective over training under each method, the law's forecast beneath.

The bare covariance with the signal says which way a small tilt would move an objective; along the
optimiser's step it says which way this update moves it. Where the two rows differ in sign, the
optimiser does not follow the tilt.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import Look, scalarizer_looks
from covlaw.figures._drawing.style import new_figure, objective_columns, shorten, zero_line
from covlaw.figures.registry import Description
from covlaw.records.constants import CERTAIN, CLEAR, SACRIFICE
from covlaw.records.findings import counted, interference_claim, methods, seeds_of
from covlaw.records.ladder import Array, Audit, LlmRun, audits, llm_runs
from covlaw.records.study import percent

PREDICTIONS = {"law": "forecast:\nbare law", "first_order": "diagnosis:\nlaw along step"}
"""Prediction of an audit → its row beneath the curves."""
DODGE = 1.0
"""Steps between the markers of two methods at one audit."""


def draw(run: Path) -> Figure:
    """Draw reward curves (top) and the law's forecasts at the audits (beneath)."""
    runs = llm_runs(run)
    looks = scalarizer_looks(methods(runs))
    rows = PREDICTIONS if audits(runs) else {}
    audited = [name for name in looks if audits([r for r in runs if r.method == name])]
    figure = new_figure(2.7 + 1.1 * len(rows))
    axes = objective_columns(figure, len(runs[0].objectives), (2.3, *(1 for _ in rows)))
    for column, name in enumerate(runs[0].objectives):
        axes[0, column].set_title(shorten(name))
        for method, look in looks.items():
            own = [r for r in runs if r.method == method]
            _curves(axes[0, column], own, column, look, method)
            if method not in audited:
                continue
            shift = DODGE * (audited.index(method) - (len(audited) - 1) / 2)
            for panel, prediction in zip(axes[1:, column], rows, strict=True):
                _forecasts(panel, own, column, look, (prediction, shift))
        for panel in axes[1:, column]:
            zero_line(panel)
        axes[-1, column].set_xlabel("step")
    for panel, label in zip(axes[:, 0], ("mean reward of a batch", *rows.values()), strict=True):
        panel.set_ylabel(label)
    axes[0, 0].set_ylim(bottom=min(0.0, axes[0, 0].get_ylim()[0]))
    figure.align_ylabels()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def describe(run: Path) -> Description:
    """Say who sacrificed what, and what the picture holds."""
    runs = llm_runs(run)
    count = len(audits(runs))
    caption = (
        f"{counted(len(runs), 'run')}, {seeds_of(runs)}: thin lines one run "
        "each, thick lines their mean, smoothed over 5 steps. A run sacrifices an objective if "
        f"its last tenth lies more than {percent(SACRIFICE)} of what it had to lose below its "
        f"first, by more than {CERTAIN:g} standard errors. "
    )
    if count:
        caption += (
            "Beneath: by how much one update changes the objective, as the bare law c·Cov(r, s) "
            "forecasts it before the step and as the law along the optimiser's finished step "
            f"diagnoses it, mean over seeds, at {counted(count, 'audit')} on samples apart from "
            "its batch; the markers of one audit stand side by side. The law along the "
            "optimiser's step is Cov(r, ⟨∇log π, u⟩). Bars are ± 2 standard errors: "
            "what samples of these runs would say; other seeds differ by more."
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
    axes.grid(axis="y")


def _forecasts(
    axes: Axes, runs: list[LlmRun], column: int, look: Look, how: tuple[str, float]
) -> None:
    prediction, shift = how
    found = audits(runs)
    steps = sorted({audit.step for audit in found})
    pairs = [_mean([a for a in found if a.step == step], prediction, column) for step in steps]
    axes.errorbar(
        np.array(steps) + shift,
        [mean for mean, _ in pairs],
        yerr=[CLEAR * error for _, error in pairs],
        fmt=look.marker,
        color=look.color,
        markersize=3.5,
        linewidth=1,
    )


def _mean(found: list[Audit], prediction: str, column: int) -> tuple[float, float]:
    """Mean over runs, whose samples are independent, and its standard error."""
    pairs = np.array([audit.change(prediction) for audit in found])[:, :, column]
    return float(pairs[:, 0].mean()), float(np.sqrt(np.square(pairs[:, 1]).sum()) / len(found))


def _smooth(values: Array, width: int = 5) -> Array:
    """Mean over the last `width` values; fewer at the start."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - width)
    smoothed: Array = (total[end] - total[start]) / (end - start)
    return smoothed


if __name__ == "__main__":
    draw_alone(__spec__)
