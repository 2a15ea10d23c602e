"""CTWA's phase portrait: what is reachable, where paths go, and where they run away (T33–T38).

Which covariance targets some weights can meet, and where CTWA goes, under four ways to scale the
advantage. Arrows are the flow along the frontier, bold is rest. Dividing by one std over all
completions makes CTWA run away from targets that are reachable, the more the more prompts differ;
no std, each prompt's or the pooled within-prompt std do not.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.ctwa_growth import (
    NAMES,
    SIGNAL_LOOKS,
    certified,
    draw_ensemble,
    draw_weights,
    reachable,
)
from covlaw.figures._drawing.looks import GRID, INK, MUTED, PAPER
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.ladder import Array, array
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records, of_kind

START_MARKERS = ("o", "s", "^")
EDGE = 1.2
"""End of both axes of a portrait, in units of reward."""
ARROW: Any = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 0, "mutation_scale": 9}


def draw(run: Path) -> Figure:
    """Draw a portrait a signal, the weights over the updates, and random problems."""
    records = read_records(run / "ctwa.jsonl")
    figure = new_figure(4.9)
    panels = figure.subplots(2, 3)
    for panel, signal in zip(panels.flat, NAMES, strict=False):
        _portrait(panel, [r for r in records if r.get("signal") == signal], signal)
    for panel in (*panels[:, 0], *panels[0]):
        panel.set(xlabel="Cov(r₁, advantage)")
    for panel in panels[:, 0]:
        panel.set_ylabel("Cov(r₂, advantage)")
    draw_weights(panels[1, 1], records)
    draw_ensemble(panels[1, 2], records)
    handles, labels = panels[1, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def describe(run: Path) -> Description:
    """Count the starts from which each signal reaches the feasible target."""
    records = read_records(run / "ctwa.jsonl")
    starts = of_kind(records, "starts", target="inside")
    steps, random = starts[0]["steps"], of_kind(records, "ensemble")
    caption = (
        "Two objectives on two prompts, each easy on one of them only; covariances frozen. "
        "Advantages are divided by nothing, by the std of their prompt, of all completions, or "
        "pooled within prompts. Grey: targets that some weights meet; star and cross: CTWA's. "
        "Arrows: where an update towards the star moves the covariances; bold: both met, at rest. "
        f"Paths of {steps} updates run from a hollow mark to the same one filled where the star is "
        "met, to × where not. Dashed: towards the cross; dotted: growth certified by T37. Last: of "
        f"{random[0]['n']} random problems of 3 objectives with feasible targets, the share met "
        f"in {random[0]['steps']} updates; bars: 95 % Wilson intervals."
    )
    return Description(_claim(records), caption)


def _claim(records: Records) -> str:
    """How many starts reach the star; before that, whatever contradicts the statements."""
    impossible = [
        NAMES[r["signal"]]
        for r in of_kind(records, "starts", target="outside")
        if r["reached"] and not reachable(records, r["signal"], r["goal"])
    ]
    if impossible:
        return f"CTWA meets targets that no weights reach, with {' and '.join(impossible)}"
    if not all(certified(r) for r in of_kind(records, "path") if r["floor"]):
        return "CTWA's weights grow less than T37 certifies"
    starts = of_kind(records, "starts", target="inside")
    counts: dict[int, list[str]] = {}
    for r in starts:
        if reachable(records, r["signal"], r["goal"]):
            counts.setdefault(r["reached"], []).append(NAMES[r["signal"]])
    found = [f"{count} with {', '.join(names)}" for count, names in counts.items()]
    return f"Of {starts[0]['n']} starts CTWA meets a reachable target from {'; '.join(found)}"


def _portrait(axes: Axes, records: Records, signal: str) -> None:
    [frontier] = of_kind(records, "frontier")
    y = array(frontier["y"])
    if signal == "raw":
        axes.fill_between([0, EDGE], EDGE, color=GRID, linewidth=0)
    else:
        axes.fill_between(*downset(y), color=GRID, linewidth=0)
        axes.plot(*y.T, color=MUTED, linewidth=0.8)
        _flow(axes, y, array(frontier["turn_inside"]), signal)
    _paths(axes, records, signal)
    for r in of_kind(records, "starts"):
        marker, size = ("*", 9) if r["target"] == "inside" else ("X", 6)
        axes.plot(*r["goal"], marker, color=INK, markersize=size, markeredgecolor=PAPER, zorder=5)
        if r["target"] == "inside":
            corner = ([r["goal"][0]] * 2 + [EDGE], [EDGE, r["goal"][1], r["goal"][1]])
            axes.plot(*corner, color=INK, linewidth=0.6, linestyle=":")
    axes.set(xlim=(0, EDGE), ylim=(0, EDGE), aspect="equal", title=NAMES[signal])
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])


def downset(y: Array) -> tuple[Array, Array]:
    """Upper edge of all targets that some point exceeds: the largest y_2 at or right of y_1."""
    order = np.argsort(-y[:, 0])
    first, second = y[order].T
    height = np.maximum.accumulate(second)
    return np.concatenate([first, [0]]), np.concatenate([height, height[-1:]])


def _flow(axes: Axes, y: Array, turn: Array, signal: str) -> None:
    """Bold where an update changes nothing; elsewhere arrows along the frontier."""
    rest = np.where((np.nan_to_num(turn) == 0)[:, None], y, np.nan)
    rest[[0, -1]] = np.nan
    axes.plot(*rest.T, color=SIGNAL_LOOKS[signal].color, linewidth=3, solid_capstyle="butt")
    for k in range(4, len(y) - 4, 6):
        if turn[k]:
            along = int(np.sign(turn[k]))
            axes.annotate("", y[k + along], y[k - along], arrowprops=ARROW)


def _paths(axes: Axes, records: Records, signal: str) -> None:
    look = SIGNAL_LOOKS[signal]
    inside = of_kind(records, "path", target="inside")
    for marker, path in zip(START_MARKERS, inside, strict=False):
        y = array(path["y"])
        axes.plot(*y.T, color=look.color, linewidth=1.2)
        axes.plot(*y[0], marker, color=look.color, markerfacecolor=PAPER, markersize=5, zorder=4)
        axes.plot(
            *y[-1], marker if path["reached"] else "x", color=look.color, mew=1.5, ms=5, zorder=4
        )
    for path in of_kind(records, "path", target="outside"):
        axes.plot(*array(path["y"]).T, color=look.color, linewidth=1, linestyle="--")


if __name__ == "__main__":
    draw_alone(__spec__)
