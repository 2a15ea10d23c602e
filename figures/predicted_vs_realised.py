"""Four predictors of one update, from the bare law to the exact form, against what happened."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures.alone import draw_alone
from covlaw.figures.findings import TWO_SIDED_95, agreement, counted, stack
from covlaw.figures.records import Audit, audits, llm_runs
from covlaw.figures.registry import Description
from covlaw.figures.style import INK, MUTED, new_figure, objective_look, shorten

PREDICTORS = {
    "law": "law  c·Cov(r, s)",
    "clipped": "clipped law  c·Cov(r, W)",
    "first_order": "first order along the step",
    "exact_change": "exact form  Cov(r, ρ)",
}


def draw(run: Path) -> Figure:
    """Draw one panel a predictor: predicted against measured change, with 95 % bars."""
    found = audits(llm_runs(run))
    figure = new_figure(4.6)
    panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
    for panel, (name, label) in zip(panels, PREDICTORS.items(), strict=True):
        _panel(panel, found, name)
        panel.set_title(label)
    for panel in panels[2:]:
        panel.set_xlabel("predicted change of one step")
    for panel in panels[::2]:
        panel.set_ylabel("measured change")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def describe(run: Path) -> Description:
    """Say how often each predictor met the measured change."""
    runs = llm_runs(run)
    found = audits(runs)
    shares = {name: agreement(found, name) for name in PREDICTORS}
    law, exact = shares["law"], shares["exact_change"]
    title = (
        f"The exact form meets the measured change in {exact.within} of {exact.n} cases, "
        f"the bare law in {law.within} of {law.n}"
    )
    seeds = len({r.seed for r in runs})
    caption = (
        f"{counted(len(found), 'audit')} of {counted(len(runs), 'run')} "
        f"({counted(seeds, 'seed')}), a point an objective. Bars are "
        "95 % intervals, clustered by prompt; they are wide, for both sides hold the spread "
        "between the same prompts. Predictions come from samples apart from the batch that made "
        "the update, the measured change from fresh samples of both policies. "
        "On the line a prediction is perfect."
    )
    if all(audit.record["law"] == audit.record["clipped"] for audit in found):
        caption += " With one step a batch nothing is clipped, so both laws agree (T26)."
    return Description(title, caption)


def _panel(axes: Axes, found: list[Audit], name: str) -> None:
    axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.8)
    axes.grid()
    if not found:
        return
    predicted, predicted_error = stack(found, name)
    measured, measured_error = stack(found, "measured")
    for j, objective in enumerate(found[0].run.objectives):
        look = objective_look(j)
        axes.errorbar(
            predicted[:, j],
            measured[:, j],
            xerr=TWO_SIDED_95 * predicted_error[:, j],
            yerr=TWO_SIDED_95 * measured_error[:, j],
            fmt=look.marker,
            color=look.color,
            markersize=3.5,
            linewidth=0.5,
            label=shorten(objective),
        )
    share = agreement(found, name)
    text = f"{share.within} of {share.n} within 95 %" + _correlation(predicted, measured)
    axes.annotate(text, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=8, color=INK)


def _correlation(predicted: np.ndarray, measured: np.ndarray) -> str:
    both = np.isfinite(predicted) & np.isfinite(measured)
    if both.sum() < 3 or predicted[both].std() == 0 or measured[both].std() == 0:
        return ""
    return f"\ncorrelation {np.corrcoef(predicted[both], measured[both])[0, 1]:.2f}"


if __name__ == "__main__":
    draw_alone(__spec__)
