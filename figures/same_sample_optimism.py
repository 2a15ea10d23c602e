"""How much the samples that made an update flatter it, against samples that did not.

What the exact form Cov(r, ρ), a diagnosis of the step, says beyond the measured change, audit by
audit, on other samples and on the update's own. Bars that leave out 0 are bias; the measured
mean stands beside each objective.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm
from scipy.stats import t as student

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.axes import name_places
from covlaw.figures._drawing.looks import NEUTRALS
from covlaw.figures._drawing.style import new_figure, shorten, zero_line
from covlaw.figures.registry import Description
from covlaw.records.constants import CLEAR
from covlaw.records.findings import counted, methods, seeds_of, stack
from covlaw.records.ladder import Array, LlmRun, audits, llm_runs

SAMPLES = {
    "independent": NEUTRALS[0]._replace(hatch="exact form on other samples"),
    "same": NEUTRALS[1]._replace(hatch="exact form on the update's own samples"),
}
"""Where the exact form is estimated; `hatch` holds the label."""


class Excess(NamedTuple):
    """A mean over audits of differences within each, (M,)."""

    mean: Array
    error: Array
    """Standard error, from the spread between audits, each on prompts of its own."""
    audits: int

    @property
    def half_width(self) -> Array:
        """Of an interval of 2 normal standard errors' level, by Student's t: audits may be few.

        (M,), NaN for a single one.
        """
        return np.asarray(student.ppf(norm.cdf(CLEAR), self.audits - 1) * self.error)

    @property
    def clear(self) -> Array:
        """Whether that interval leaves out 0: bool (M,)."""
        return np.asarray(np.abs(self.mean) > self.half_width)


def draw(run: Path) -> Figure:
    """Draw what Cov(r, ρ) on either sample says beyond the measured change."""
    runs = [own for own in llm_runs(run) if audits([own])]
    names = methods(runs)
    figure = new_figure(2.9)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        _panel(panel, [r for r in runs if r.method == name])
        panel.set_title(name)
    panels[0].set_ylabel("exact form − measured,\nmean over audits")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def describe(run: Path) -> Description:
    """Say by how much the update's own samples overstate its effect."""
    runs = [own for own in llm_runs(run) if audits([own])]
    count = len(audits(runs, "same"))
    caption = (
        f"{counted(count, 'audit')} of {counted(len(runs), 'run')}, {seeds_of(runs)}. One update "
        "diagnosed after the step by the exact form Cov(r, ρ) on two samples, less the change "
        "measured on fresh samples of both policies (its mean stands beside the objective). "
        "Differences are taken audit by audit; bars are ± 2 standard errors of their mean, widened "
        "as Student's t asks. The batch that made an update over-represents what it "
        "raised, so its own covariance with ρ is biased."
    )
    return Description(_claim(runs), caption)


def _claim(runs: list[LlmRun]) -> str:
    beyond = excess(runs, "same", "independent")
    ratios = optimism(runs)
    clear = [
        f"{name} {mean:+.3f}" + (f" ({ratio:.1f}×)" if np.isfinite(ratio) else "")
        for name, mean, ratio, seen in zip(
            runs[0].objectives, beyond.mean, ratios, beyond.clear, strict=True
        )
        if seen
    ]
    if not np.isfinite(beyond.mean).any():
        return "No audit was made on the update's own samples"
    if not clear:
        same = "Cov(r, ρ) is the same on an update's own samples and on others"
        return f"{same}, within 2 standard errors"
    rest = "; the rest within 2 standard errors" if len(clear) < len(ratios) else ""
    return f"Cov(r, ρ) on an update's own samples, less that on others: {', '.join(clear)}{rest}"


def optimism(runs: list[LlmRun]) -> Array:
    """Mean exact form on the same samples over that on independent ones (M,).

    NaN where the independent mean is not clear of 0: a ratio says nothing there.
    """
    same, independent = excess(runs, "same"), excess(runs, "independent")
    clear = independent.clear
    ratio: Array = np.where(clear, same.mean / np.where(clear, independent.mean, 1.0), np.nan)
    return ratio


def excess(runs: list[LlmRun], sample: str, beyond: str | None = None) -> Excess:
    """Mean of Cov(r, ρ) on a sample ("measured": the change), less `beyond` of the same audit."""
    values = _values(runs, sample)
    if beyond:
        values = values - _values(runs, beyond)
    spread = values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return Excess(values.mean(0), spread / np.sqrt(len(values)), len(values))


def _values(runs: list[LlmRun], source: str) -> Array:
    """(audits, M) of the audits made on both samples; NaN where there is none."""
    sample, forecast = ("independent", source) if source == "measured" else (source, "exact_change")
    twice = {(a.run.name, a.step) for a in audits(runs, "same")}
    own = [a for a in audits(runs, sample) if (a.run.name, a.step) in twice]
    return stack(own, forecast)[0] if own else np.full((1, len(runs[0].objectives)), np.nan)


def _panel(axes: Axes, runs: list[LlmRun]) -> None:
    for k, (sample, look) in enumerate(SAMPLES.items()):
        found = excess(runs, sample, "measured")
        place = np.arange(len(found.mean)) + 0.24 * (k - 0.5)
        bars = np.nan_to_num(found.half_width)
        mark: Any = {"fmt": look.marker, "color": look.color, "markersize": 5.5, "linewidth": 1.2}
        axes.errorbar(place, found.mean, yerr=bars, label=look.hatch, **mark)
    measured = excess(runs, "measured").mean
    names = map(shorten, runs[0].objectives)
    means = [f"{mean:+.3f}".replace("-", "−") for mean in measured]
    labels = [f"{name}  {mean}" for name, mean in zip(names, means, strict=True)]
    name_places(axes, labels)
    zero_line(axes)


if __name__ == "__main__":
    draw_alone(__spec__)
