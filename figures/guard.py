"""The guard in an RL run: reward curves with and without it, and whom it defends, below.

Guarded or not, the runs draw the same prompts. Where the weight μ of an objective is above 0, the
optimiser's finished step would have lowered it, and the guard turned the step.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.curves import WINDOW, smoothed_curves
from covlaw.figures._drawing.looks import GUARDED, SCALARIZERS
from covlaw.figures._drawing.style import new_figure, objective_columns, shorten
from covlaw.figures.registry import Description
from covlaw.records.findings import counted, seeds_of
from covlaw.records.guard_weights import weight_shares
from covlaw.records.ladder import Array, LlmRun, llm_runs

SCALARIZER = "linear"
PLAIN = SCALARIZERS[SCALARIZER]


def draw(run: Path) -> Figure:
    """Draw reward curves (top) and each objective's share of the guard's weights (beneath)."""
    plain, kept = _both(run)
    names = plain[0].objectives
    figure = new_figure(3.7)
    axes = objective_columns(figure, len(names), (2.0, 1.0))
    for j, name in enumerate(names):
        axes[0, j].set_title(shorten(name))
        smoothed_curves(
            axes[0, j], [r.column("reward_mean")[:, j] for r in plain], PLAIN, "unguarded"
        )
        smoothed_curves(
            axes[0, j], [r.column("reward_mean")[:, j] for r in kept], GUARDED, "guarded"
        )
        smoothed_curves(axes[1, j], [_shares(r)[:, j] for r in kept], GUARDED, "")
        axes[1, j].set_xlabel("step")
    axes[0, 0].set_ylabel("mean reward of a batch")
    axes[1, 0].set_ylabel("share of μ")
    axes[0, 0].set_ylim(0, 1.03)
    axes[1, 0].set_ylim(0, 1.03)
    figure.align_ylabels()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def describe(run: Path) -> Description:
    """Say where the objective that falls ends, with and without the guard."""
    plain, kept = _both(run)
    before, after = (np.mean([_end(r) for r in runs], 0) for runs in (plain, kept))
    j = int(before.argmin())
    title = (
        f"Guarded, {plain[0].objectives[j]} ends at {after[j]:.2f} instead of {before[j]:.2f}, "
        f"{', '.join(_moved(plain[0].objectives, before, after, j))}"
    )
    caption = (
        f"{counted(len(plain), 'run')} with equal weights and {len(kept)} guarded, "
        f"{seeds_of(plain)}: thin lines one run each, thick lines their mean, smoothed over "
        f"{WINDOW} steps. Beneath: each objective's share of the guard's weights μ, which are 0 "
        "where the optimiser's step lowers nothing. Floors restore what was lost (T64), from "
        "gradients of 8 completions a prompt that are not the batch's."
    )
    return Description(title, caption)


def _moved(names: list[str], before: Array, after: Array, lost: int) -> list[str]:
    return [
        f"{name} at {after[j]:.2f} instead of {before[j]:.2f}"
        for j, name in enumerate(names)
        if j != lost
    ]


def _both(run: Path) -> tuple[list[LlmRun], list[LlmRun]]:
    """Runs of the scalarizer without and with the guard, restoring floors and plain Gramian."""
    own = [r for r in llm_runs(run) if r.scalarizer == SCALARIZER]
    return [r for r in own if not r.guarded], [r for r in own if r.guarded]


def _end(run: LlmRun) -> Array:
    ends: Array = run.column("reward_mean")[-WINDOW:].mean(0)
    return ends


def _shares(run: LlmRun) -> Array:
    return weight_shares([step["guard"]["weights"] for step in run.steps])


if __name__ == "__main__":
    draw_alone(__spec__)
