"""How tight convergence bounds are: measured gaps beside classic, improved and our rates.

Measured optimality gaps beside the bounds that classic (Polyak; Bottou et al.; Mei et al.),
improved (Abbaszadehpeivasti et al.) and our results give. A bound is good if it lies just above
the black line. Dotted lines are plausible forms that are false: they fall below the gap.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import INK, MUTED, NEUTRALS, PAPER, Look
from covlaw.figures._drawing.style import new_figure, power_of_ten
from covlaw.figures.registry import Description
from covlaw.records.ladder import array
from covlaw.records.lines import read_records

PANELS = {
    "smooth": ("smooth and PL", "T41"),
    "noise": ("noisy gradients", "T42"),
    "drift": ("moving weights", "T43"),
    "softmax": ("softmax, gradients", "T44"),
    "tilts": ("softmax, tilts", "T44"),
    "KL": ("KL-regularised", "T46"),
}
"""Kind of problem → its name, and the statement whose bounds are drawn."""
BOUNDS = {
    "classic": (NEUTRALS[1]._replace(marker=""), "classic bound"),
    "improved": (Look(NEUTRALS[3].color, "", "-."), "improved bound"),
    "ours": (Look(NEUTRALS[2].color, "", "-"), "our bound"),
    "path": (Look(NEUTRALS[4].color, "D", "-"), "ours, by path length"),
    "false": (Look(MUTED, "", ":"), "plausible, false"),
}
"""Whose a bound is → how it is drawn."""
FALSE = "false"
CASE_MARKERS = ("o", "^")


def draw(run: Path) -> Figure:
    """Draw a panel a kind of problem: gaps over iterations, and what bounds them."""
    records = read_records(run / "convergence.jsonl")
    figure = new_figure(4.7)
    panels = figure.subplots(2, 3).flat
    for panel, (kind, (name, statement)) in zip(panels, PANELS.items(), strict=True):
        _panel(panel, [r for r in records if r["panel"] == kind])
        panel.set_title(f"{name} ({statement})")
    for axes in figure.axes[3:]:
        axes.set_xlabel("iteration")
    for axes in figure.axes[::3]:
        axes.set_ylabel("gap to the optimum")
    _legend(figure)
    return figure


def describe(run: Path) -> Description:
    """Say how near each kind of gap comes to a bound, and whether it passes one."""
    records = read_records(run / "convergence.jsonl")
    failed = sum(r["least_ratio"].get(FALSE, np.inf) < 1 for r in records)
    told = sum(FALSE in r["bounds"] for r in records)
    caption = (
        f"{len(records)} runs, {sum(r['n'] for r in records):,} iterations judged. T41: a "
        f"non-convex function, {records[0]['case']} starts, each gap over its first; classic: "
        "Polyak, improved: Abbaszadehpeivasti et al. T42: exact mean gap; classic: Bottou et al.; "
        "dotted: the floor of small steps. T43: raw CTWA moves the weights; dotted: the bound for "
        "fixed ones. T44: one bandit; classic: Mei et al. for step 2/5; dotted: the geometric rate "
        "of the start's PL constant; tilts: known. T46: natural steps; the constant β/8 is ours. "
        f"The dotted, plausible forms are below a gap in {failed} of {told} runs."
    )
    return Description(_claim(records), caption)


def _claim(records: list[dict[str, Any]]) -> str:
    passed = [
        f"{r['panel']} ({name})"
        for r in records
        for name, ratio in _proved(r)
        if ratio < 1 - r["tolerance"]
    ]
    if passed:
        return f"A gap passes its bound: {', '.join(passed)}"
    nearest = {
        kind: min(ratio for r in records if r["panel"] == kind for _, ratio in _proved(r))
        for kind in dict.fromkeys(r["panel"] for r in records)
    }
    found = ", ".join(f"{kind} {ratio:.2f}" for kind, ratio in nearest.items())
    return f"No gap passes its bound; least bound/gap: {found}"


def _proved(record: dict[str, Any]) -> list[tuple[str, float]]:
    return [(name, ratio) for name, ratio in record["least_ratio"].items() if name != FALSE]


def _panel(axes: Axes, records: list[dict[str, Any]]) -> None:
    several = len(records) > 1
    common = [v for v in records[0]["bounds"].values() if v in records[-1]["bounds"].values()]
    for marker, record in zip(CASE_MARKERS, records, strict=False):
        step = array(record["step"])
        for name, values in record["bounds"].items():
            axes.plot(step, values, **_style(name, "" if values in common else marker))
        shown: dict[str, Any] = {"color": INK, "markersize": 3.5, "zorder": 3}
        axes.plot(step, record["gap"], color=INK, linewidth=1, zorder=3)
        label = record["case"] if several else None
        axes.plot(step[::5], record["gap"][::5], marker, label=label, **shown)
    _scales(axes, records)
    if several:
        axes.legend(loc="lower left", fontsize=7, handletextpad=0.2)


def _style(name: str, case: str = "") -> dict[str, Any]:
    """Line of a bound; a hollow mark says of which case it is."""
    look, wide = BOUNDS[name][0], 2.4 if name == "ours" else 1.4  # visible behind a gap it equals
    marks = {"marker": look.marker or case, "markevery": (12, 12), "markersize": 4}
    return {"color": look.color, "linestyle": look.line, "linewidth": wide, "mfc": PAPER} | marks


def _scales(axes: Axes, records: list[dict[str, Any]]) -> None:
    """From well below the last proved bound and gap to just above the first; log-log from t = 1."""
    proved = [array(v) for r in records for name, v in r["bounds"].items() if name != FALSE]
    least = min(*(v.min() for v in proved), max(array(r["gap"])[-1] for r in records))
    axes.set(yscale="log", ylim=(least / 30, 2 * max(v.max() for v in proved)))
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.yaxis.set_minor_locator(NullLocator())
    if records[0]["step"][0] == 1:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(power_of_ten)
        axes.xaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure) -> None:
    axes = figure.axes[0]
    handles = axes.plot([], [], "o-", color=INK, markersize=3.5, label="measured gap")
    for name, (_, words) in BOUNDS.items():
        handles += axes.plot([], [], label=words, **_style(name))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


if __name__ == "__main__":
    draw_alone(__spec__)
