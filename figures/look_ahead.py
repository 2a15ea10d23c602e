"""Where the start's own frontier says that weights lead, against where runs went (T56, T57).

Before the first step the tilt along the weights, at a given KL, says what each reward would be: the
most of the weighted sum that any policy of that KL can have. Along natural gradients the runs end
there. Under shared parameters it is a forecast of runs with fixed weights, and a bound for all.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing import ahead
from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.axes import name_places
from covlaw.figures._drawing.looks import GUARDED, MUTED, NEUTRALS, objective_look, scalarizer_looks
from covlaw.figures._drawing.style import new_figure, power_of_ten
from covlaw.figures.registry import Description
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records
from covlaw.records.study import percent

LEAST = 1e-6
"""Room that is drawn as none."""
WORLDS = {
    "bandit_natural": "natural",
    "bandit": "bandit",
    "tabular": "tree",
    "transformer": "transformer",
}
PREDICTIONS = {"ahead": "frontier", "law": "bare law", "none": "no change"}


def draw(run: Path) -> Figure:
    """Draw one world's courses beside the frontier, errors by world, and the room by algorithm."""
    records = read_records(run / "look_ahead.jsonl")
    figure = new_figure(3.1)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _courses(left, [r for r in records if r.get("path")])
    rows = [r for r in records if not r.get("path")]
    _errors(middle, rows)
    _rooms(right, rows)
    for axes in (left, middle, right):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=2, fontsize=7)
    return figure


def describe(run: Path) -> Description:
    """Say how often the frontier had the sign right, and how far runs are from it."""
    rows = [r for r in read_records(run / "look_ahead.jsonl") if not r.get("path")]
    fixed = ahead.linear(rows)
    shared = [r for r in fixed if r["world"] == "transformer"] or fixed
    right = {name: ahead.signs_right(shared, name) for name in ("ahead", "law")}
    said = "; ".join(
        f"{world.replace('_', ' ')} {percent(ahead.signs_right(own, 'ahead'))} against "
        f"{percent(ahead.signs_right(own, 'law'))}, {percent(ahead.gained(own))} of the gain"
        for world, own in ahead.by_world(fixed)
    )
    title = (
        f"Of runs with fixed weights on transformers the frontier of the start forecasts "
        f"{percent(right['ahead'])} of the signs at the end, the bare law {percent(right['law'])}"
    )
    others = [r for r in rows if r not in fixed]
    caption = (
        f"{len(rows)} enumerated runs ({len(fixed)} of them with equal fixed weights and no guard) "
        f"from seed {min(r['seed'] for r in rows)} on: bandits by natural and plain gradients, "
        "token trees and transformers by AdamW. Left: the rewards of one transformer as runs move "
        "away from their start (markers; hollow: guarded) beside the frontier along equal weights "
        "(lines). Middle: mean error of what was forecast of the end at the KL of the end, in "
        "shares of the attainable range, over fixed weights. Right: by how much every reward at "
        "once could have been higher at the same KL, medians, in the same units. Of the changes "
        f"beyond {percent(ahead.CLEAR)} the frontier had the sign right, against the bare law, and "
        f"runs reached of its weighted gain in the median: {said}. Largest room of any run: "
        f"{max(r['room'] for r in rows):.3f}. Runs that are guarded, or whose weights adapt, go "
        "elsewhere: along equal weights the frontier forecasts "
        f"{percent(ahead.signs_right(others, 'ahead'))} of their signs, the bare law "
        f"{percent(ahead.signs_right(others, 'law'))}."
    )
    return Description(title, caption)


def _courses(axes: Axes, paths: Records) -> None:
    for path in paths:
        if path["algorithm"] != "linear":
            continue
        guarded = path["guard"] != "none"
        for j, name in enumerate(path["objectives"]):
            look = objective_look(j)
            if not guarded:
                line = np.array(path["frontier"])[:, j]
                axes.plot(
                    path["frontier_kl"], line, color=look.color, label=name, linestyle=look.line
                )
            axes.plot(
                path["run_kl"],
                np.array(path["run"])[:, j],
                color=look.color,
                linestyle="none",
                marker=look.marker,
                markersize=4,
                markerfacecolor="none" if guarded else look.color,
            )
    axes.set(xlabel="KL from the start (nats)", ylabel="reward")


def _errors(axes: Axes, rows: Records) -> None:
    worlds = ahead.by_world(ahead.linear(rows))
    for k, (key, words) in enumerate(PREDICTIONS.items()):
        look = NEUTRALS[k]
        heights = [ahead.error(own, key) for _, own in worlds]
        place = np.arange(len(worlds)) + 0.27 * (k - 1)
        axes.bar(place, heights, 0.25, color=look.color, hatch=look.hatch, label=words)
    name_places(axes, [WORLDS.get(world, world) for world, _ in worlds], fontsize=7)
    axes.set(ylabel="mean error of the change")


def _rooms(axes: Axes, rows: Records) -> None:
    arms = list(dict.fromkeys((r["algorithm"], r["guard"]) for r in rows))
    looks, worlds = scalarizer_looks([name for name, _ in arms]), ahead.by_world(rows)
    for k, arm in enumerate(arms):
        rooms = [
            np.median([r["room"] for r in own if (r["algorithm"], r["guard"]) == arm])
            for _, own in worlds
        ]
        look = GUARDED if arm[1] != "none" else looks[arm[0]]
        words = arm[0] if arm[1] == "none" else f"{arm[0]}, guard"
        place = np.arange(len(worlds)) + 0.12 * (k - 1.5)
        axes.plot(
            place, np.maximum(rooms, LEAST), linestyle="none", marker=look.marker,
            color=look.color, label=words, markersize=4.5,
        )  # fmt: skip
    name_places(axes, [WORLDS.get(world, world) for world, _ in worlds], fontsize=7)
    axes.set(yscale="log", ylabel="room at equal KL")
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.axhline(LEAST, color=MUTED, linewidth=0.8)


if __name__ == "__main__":
    draw_alone(__spec__)
