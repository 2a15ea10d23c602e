"""How much the samples that made an update flatter it, against samples that did not."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from covlaw.figures.alone import draw_alone
from covlaw.figures.findings import TWO_SIDED_95, counted, scalarizers, stack
from covlaw.figures.records import Array, LlmRun, audits, llm_runs
from covlaw.figures.registry import Description
from covlaw.figures.style import INK, new_figure, shorten, zero_line

SOURCES = {
    "measured": ("independent", "measured", "measured on fresh samples", "D", INK),
    "independent": (
        "independent",
        "exact_change",
        "Cov(r, ρ), other samples",
        "o",
        "#0072b2",
    ),
    "same": ("same", "exact_change", "Cov(r, ρ), the update's own samples", "s", "#d55e00"),
}


def draw(run: Path) -> Figure:
    """Draw each objective's mean change of one step, judged by three samples."""
    runs = llm_runs(run)
    names = scalarizers(runs)
    figure = new_figure(3.0)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        own = [r for r in runs if r.scalarizer == name]
        for k, source in enumerate(SOURCES):
            _, _, label, marker, color = SOURCES[source]
            mean, error = _mean_change(own, source)
            place = np.arange(len(mean)) + 0.22 * (k - 1)
            style = {"fmt": marker, "color": color, "markersize": 5, "linewidth": 1}
            panel.errorbar(place, mean, yerr=TWO_SIDED_95 * error, label=label, **style)
        panel.set_xticks(range(len(runs[0].objectives)), map(shorten, runs[0].objectives))
        panel.set_title(name)
        panel.grid(axis="y")
        zero_line(panel)
    panels[0].set_ylabel("change of one step,\nmean over audits")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def describe(run: Path) -> Description:
    """Say by how much the update's own samples overstate its effect."""
    runs = llm_runs(run)
    count = len(audits(runs, "same"))
    caption = (
        f"{counted(count, 'audit')} of {counted(len(runs), 'run')}. The same update judged three "
        "ways; bars are 95 % intervals of the mean over audits. The batch that made an update "
        "over-represents what the update raised, so its own covariance with ρ is biased upwards."
    )
    return Description(_claim(runs), caption)


def _claim(runs: list[LlmRun]) -> str:
    ratios = [
        f"{ratio:.1f}× for {name}"
        for name, ratio in zip(runs[0].objectives, optimism(runs), strict=True)
        if np.isfinite(ratio)
    ]
    if not ratios:
        return "Forecasts on the update's own samples, against independent ones"
    return f"Same-sample forecast over independent forecast: {', '.join(ratios)}"


def optimism(runs: list[LlmRun]) -> Array:
    """Mean forecast on the same samples over that on independent ones (M,).

    NaN where the independent mean lies within two standard errors of 0: a ratio says nothing there.
    """
    same, _ = _mean_change(runs, "same")
    independent, error = _mean_change(runs, "independent")
    clear = np.abs(independent) > 2 * error
    ratio: Array = np.where(clear, same / np.where(clear, independent, 1.0), np.nan)
    return ratio


def _mean_change(runs: list[LlmRun], source: str) -> tuple[Array, Array]:
    """Mean over audits (M,) and its standard error from the spread between audits."""
    sample, prediction, *_ = SOURCES[source]
    found = audits(runs, sample)
    if not found:
        empty = np.full(len(runs[0].objectives), np.nan)
        return empty, empty
    values = stack(found, prediction)[0]
    spread = values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return values.mean(0), spread / np.sqrt(len(values))


if __name__ == "__main__":
    draw_alone(__spec__)
