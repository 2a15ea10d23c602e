"""Two panels of CTWA's portrait: weights over the updates, and random problems (T37, T38)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from covlaw.figures._drawing.looks import INK, MUTED, NEUTRALS
from covlaw.figures._drawing.shares import draw_shares
from covlaw.figures._drawing.style import power_of_ten
from covlaw.records.ladder import Array, array
from covlaw.records.measurements import Records, of_kind
from covlaw.theory._numerics.rounding import rounding

NAMES = {
    "raw": "no std (raw)",
    "grpo": "per-prompt std",
    "whitened": "global std",
    "pooled": "pooled std",
}
"""Signals, by what the advantage is divided by, in the order of the panels."""
SIGNAL_LOOKS = {
    signal: NEUTRALS[k]._replace(marker=marker, line="-")
    for signal, k, marker in (
        ("raw", 3, "D"),
        ("grpo", 0, "o"),
        ("whitened", 1, "s"),
        ("pooled", 2, "^"),
    )
}


def reachable(records: Records, signal: str, goal: list[float]) -> bool:
    """Whether recorded weights attain a target; raw covariances scale with the weights."""
    [frontier] = of_kind(records, "frontier", signal=signal)
    y = array(frontier["y"])
    enough = y > 0 if signal == "raw" else y >= array(goal)
    return bool(enough.all(1).any())


def draw_weights(axes: Axes, records: Records) -> None:
    """Draw the largest weight over the updates, with the growth that is certified."""
    share = of_kind(records, "path", target="outside")[0]["share"]
    for path in of_kind(records, "path", share=share):
        look, inside = SIGNAL_LOOKS[path["signal"]], path["target"] == "inside"
        step, size = array(path["step"]), growth(path)
        style: dict[str, Any] = {
            "color": look.color,
            "marker": look.marker,
            "markersize": 4,
            "linewidth": 1.2,
        }
        label = NAMES[path["signal"]] if inside else None
        line = "-" if inside else "--"
        axes.semilogy(step, size, line, label=label, markevery=slice(-4, None), **style)
        if path["floor"]:
            axes.semilogy(step, floor(path), ":", color=MUTED, linewidth=1)
    axes.plot([], [], "-", color=INK, label="target: the star")
    axes.plot([], [], "--", color=INK, label="target: the cross")
    axes.set(xlabel="updates", title="largest weight", ylim=(0.3, None))
    axes.yaxis.set_major_formatter(power_of_ten)


def growth(path: dict[str, Any]) -> Array:
    """Largest weight over the one at the start: (T,)."""
    top = array(path["log_weights"]).max(1)
    grown: Array = np.exp(top - top[0])
    return grown


def floor(path: dict[str, Any]) -> Array:
    """Certified floor on the same scale: (T,)."""
    first, pace = path["floor"]
    rise = first + pace * array(path["step"]) - array(path["log_weights"])[0].max()
    certain: Array = np.exp(rise)
    return certain


def certified(path: dict[str, Any]) -> bool:
    """Whether the weights have grown as they must; u is a sum of as many terms as updates."""
    top = float(np.abs(array(path["log_weights"])).max())
    error = float(rounding(top, path["step"][-1] + 4))
    return bool((growth(path) >= floor(path) * (1 - 2 * error)).all())


def draw_ensemble(axes: Axes, records: Records) -> None:
    """Draw the share of random feasible problems solved, by how much prompts differ."""
    names = dict.fromkeys(r["signal"] for r in of_kind(records, "ensemble"))
    for k, signal in enumerate(names):
        own, look = of_kind(records, "ensemble", signal=signal), SIGNAL_LOOKS[signal]
        place = [r["ratio"] * 1.12 ** (k - 1) for r in own]
        draw_shares(axes, place, [(r["reached"], r["n"]) for r in own], look, "_nolegend_")
    ticks = sorted({r["ratio"] for r in of_kind(records, "ensemble")})
    axes.set(xscale="log", ylim=(0, 1.03), title="random targets met")
    axes.set_xticks(ticks, [f"{r:g}" for r in ticks])
    axes.minorticks_off()
    axes.set_xlabel("between / within variance")
