"""How much more a batch promises of its own update than happens, by group size.

Left: how many times the realised change a batch's own Cov(r, ρ) promises, by group size; points
are measured, lines derived to first order. Right, on a finer scale: fresh samples and leave-one-
out keep the promise. The divisor K in place of K − 1 would hide a part of the bias and cure
nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import INK, MUTED, NEUTRALS, Look, objective_look
from covlaw.figures._drawing.style import new_figure, shorten
from covlaw.figures.registry import Description
from covlaw.records.constants import CLEAR
from covlaw.records.ladder import Array, array
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records, distinct, having

FILE = "group_size.jsonl"
CONTROLS = {
    "independent": NEUTRALS[0]._replace(hatch="fresh samples"),
    "leave_one_out": NEUTRALS[2]._replace(hatch="own batch, each left out of its own ρ"),
}
"""Estimators that promise what happens; `hatch` holds the label."""
APART = 0.035
"""Of a doubling of K: what neighbours of one K are moved apart by."""


def draw(run: Path) -> Figure:
    """Draw promise over change: the own batch's, and enlarged, those of two that are unbiased."""
    records = read_records(run / FILE)
    figure = new_figure(3.3)
    own, controls = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _own(own, records)
    _controls(controls, records)
    for panel in (own, controls):
        panel.axhline(1, color=MUTED, linewidth=0.8, zorder=1)
        panel.grid(axis="y")
        sizes = _sizes(records)
        panel.set_xticks(np.log2(sizes), [str(k) for k in sizes])
        panel.set_xlabel("completions a prompt, K")
    own.set_ylabel("promised change over realised change")
    return figure


def describe(run: Path) -> Description:
    """Say what the smallest usual and the largest group promise of the score."""
    records = read_records(run / FILE)
    rates, sizes = _rates(records), _sizes(records)
    first = _series(records, rates[0], _score(records))
    shown = [r for r in first if r["group_size"] in (4, sizes[-1])] or first[-1:]
    ratios = [r["same"]["ratio"] for r in shown]
    promises = [f"{x:.{1 if x >= 1.25 else 2}f} times" for x in ratios]
    places = [f" at K = {r['group_size']}" for r in shown]
    claim = ", ".join(map("".join, zip(promises, [" what happens", ""], places, strict=False)))
    count = int(first[0]["batches"] * first[0]["group_size"])
    caption = (
        f"A softmax bandit; one step of policy gradient a batch, {count:,} completions a prompt at "
        f"every K; what happens by enumeration of both policies. Bars: ± {CLEAR:g} Monte-Carlo "
        "standard errors. "
        f"Left: Cov(r, ρ) on the batch that made ρ (filled, learning rate {rates[0]:g}; hollow, "
        f"{rates[-1]:g}); lines are the first-order bias, derived, not fitted. Right, on a finer "
        "scale: the score by two unbiased ways. Every prompt has its own parameters; where prompts "
        "share them, a completion weighs less in its own forecast. The divisor K instead of K − 1 "
        "would only hide a factor (K − 1)/K."
    )
    return Description(f"A batch's own covariance promises {claim}", caption)


def _own(axes: Axes, records: Records) -> None:
    rates = _rates(records)
    for j, objective in enumerate(distinct(records, "objective")):
        look, score = objective_look(j), objective == _score(records)
        look = Look(INK, "D", "-") if score else look
        for k, rate in enumerate(rates):
            own = _series(records, rate, objective)
            place = np.log2([r["group_size"] for r in own]) + APART * (2 * k - len(rates) + 1)
            if k == 0:
                predicted = [r["predicted"] for r in own]
                axes.plot(place + APART, predicted, look.line, color=look.color, linewidth=1.1)
            _points(axes, place, own, "same", look, filled=k == 0)
        fall = all(r["realised"]["mean"] < 0 for r in _series(records, rates[0], objective))
        label = shorten(objective) + (" (trained on)" if score else " (falls)" if fall else "")
        axes.plot([], [], look.line, marker=look.marker, color=look.color, ms=4, label=label)
    axes.set_yscale("log", base=2)
    low, high = axes.get_ylim()
    ticks = [t for t in (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16) if low <= t <= high]
    axes.set_yticks(ticks, [f"{t:g}×" for t in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("judged by the batch that made it")
    axes.legend(loc="upper right")


def _controls(axes: Axes, records: Records) -> None:
    rates = _rates(records)
    for i, (name, look) in enumerate(CONTROLS.items()):
        for k, rate in enumerate(rates):
            own = [r for r in _series(records, rate, _score(records)) if r[name]]
            move = APART * (2 * (len(rates) * i + k) - 2 * len(rates) + 1)
            place = np.log2([r["group_size"] for r in own]) + 1.6 * move
            _points(axes, place, own, name, look, filled=k == 0)
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linestyle="", ms=4, label=look.hatch)
        for look in CONTROLS.values()
    ]
    low, high = axes.get_ylim()
    reach = 1.5 * max(high - 1, 1 - low)
    axes.set_ylim(1 - reach, 1 + reach)
    axes.set_title("judged by what did not make it")
    axes.legend(handles=handles, loc="upper right")


def _points(
    axes: Axes, place: Array, records: Records, name: str, look: Look, filled: bool
) -> None:
    ratio, error = (array([r[name][key] for r in records]) for key in ("ratio", "ratio_se"))
    style: dict[str, Any] = {"color": look.color, "markersize": 4, "linewidth": 0.9}
    style |= {} if filled else {"markerfacecolor": "none", "markeredgewidth": 0.9}
    axes.errorbar(place, ratio, yerr=CLEAR * error, fmt=look.marker, **style)


def _series(records: Records, rate: float, objective: str) -> Records:
    own = having(records, learning_rate=rate, objective=objective)
    return sorted(own, key=lambda r: int(r["group_size"]))


def _sizes(records: Records) -> list[int]:
    return sorted({int(r["group_size"]) for r in records})


def _rates(records: Records) -> list[float]:
    return sorted({float(r["learning_rate"]) for r in records})


def _score(records: Records) -> str:
    """The last: what the updates are trained on."""
    return str(distinct(records, "objective")[-1])


if __name__ == "__main__":
    draw_alone(__spec__)
