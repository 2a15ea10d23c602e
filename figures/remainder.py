"""How far the law's straight line errs, and where its sign turns, against sharp bounds (T5, T6).

Left, the error of the forecast η·C as a share of its proved bound: the extremal score reaches the
bound at small tilts. Right, the strength at which an objective's change turns its sign, in units
where the proved thresholds are 12√3 (several prompts) and 32 (one prompt): nothing lies below
them, and searched bandits sit on both lines. Beyond η·range(s) of about 2 both have room.
"""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, MUTED, NEUTRALS, PAPER
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.findings import counted
from covlaw.records.ladder import Array, array
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records, of_kind

REACH, SHARES, CONSTANTS = (1e-3, 1e2), (1e-4, 4.0), (9.0, 2.5e3)
TIGHT = 1e-3
"""How near some case must come to a bound for it to be called sharp."""
QUANTILES, REMAINDER = ("0.05", "0.5", "0.95"), "remainder"
TURNS = {1: "turn of one prompt", 3: "turn of several prompts"}
"""Prompts of the random bandits → what was searched for beside them."""


def draw(run: Path) -> Figure:
    """Draw the remainder over its bound, and the places where the sign turns, by strength."""
    records = read_records(run / "remainder.jsonl")
    figure = new_figure(3.5)
    left, right = figure.subplots(1, 2)
    _remainders(left, records)
    _turns(right, records)
    left.set(ylabel="|Δ − ηC| ÷ bound", title="remainder of the law")
    right.set(ylabel="η·E[R S²] ÷ |C| where Δ = 0", title="the sign of the change turns")
    for axes, limits, corner in ((left, SHARES, "lower left"), (right, CONSTANTS, "upper left")):
        axes.set(xscale="log", yscale="log", xlim=REACH, ylim=limits)
        axes.set_xlabel("strength of the tilt, η·range(s)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.legend(loc=corner, fontsize=7.5, labelspacing=0.3)
    return figure


def describe(run: Path) -> Description:
    """Say how near random and searched cases come to the bounds, and how many pass them."""
    records = read_records(run / "remainder.jsonl")
    shares, times = _shares(records), _times(records)
    share, first = max(shares), min(times)
    passed = sum(x > 1 for x in shares) + sum(x < 1 for x in times)
    hold = "Both bounds hold and are sharp" if 1 - share < TIGHT > first - 1 else "Both bounds hold"
    broken = f"{passed} of {len(shares + times)} records break a bound"
    title = (
        f"{broken if passed else hold}: the remainder reaches {100 * share:.5f} % of its own, "
        f"the sign turns at {first:.7f} times its threshold"
    )
    return Description(title, _caption(records))


def _caption(records: Records) -> str:
    random, turns = (of_kind(records, kind) for kind in ("random remainder", "random turn"))
    found = " and ".join(f"{r['turned']} ({counted(r['prompts'], 'prompt')})" for r in turns)
    points = [y for r in turns for _, y in r["points"]]
    return (
        f"{sum(r['n'] for r in turns):,} random enumerated bandits of 5 completions (seed "
        f"{turns[0]['seed']}), and the worst found by a search (1 prompt of 3 completions, or 2 of "
        "2). Left: the error of the forecast η·C over T5's bound (√3/36)·η²·E[R S²], R and S the "
        "ranges of reward and score: medians, and from 5 to 95 % (shaded; thin); "
        f"{sum(r['over'] for r in random)} of {sum(r['n'] for r in random):,} random ones exceed "
        "1. Right: where the change Δ first returns to 0, in units in which T6's threshold is "
        f"12√3, or 32 for one prompt. It does in {found} of {turns[0]['n']} each, "
        f"{sum(r['below'] for r in turns)} before the threshold; "
        f"{sum(y > CONSTANTS[1] for y in points)} beyond the frame."
    )


def _remainders(axes: Axes, records: Records) -> None:
    axes.axhline(1, color=INK, linewidth=0.9)
    _impossible(axes, 1, SHARES[1], "impossible (T5)")
    for k, prompts in enumerate(TURNS):
        own = of_kind(records, "random remainder", prompts=prompts)
        look, reach = NEUTRALS[k], array([r["reach"] for r in own])
        low, middle, high = (array([r["quantiles"][q] for r in own]) for q in QUANTILES)
        label = f"random, {counted(prompts, 'prompt')}"
        axes.plot(reach, middle, look.line, color=look.color, label=label)
        if k == 0:
            axes.fill_between(reach, low, high, color=look.color, alpha=0.18, linewidth=0)
        else:
            axes.plot(reach, array([low, high]).T, look.line, color=look.color, linewidth=0.7)
    extremal = array([[r["reach"], max(r["up"], r["down"])] for r in of_kind(records, "extremal")])
    axes.plot(*extremal.T, ":", color=INK, label="Bernoulli score of T5")
    worst: Any = {"marker": "D", "s": 12, "facecolors": "none", "edgecolors": INK}
    found = _searched(records, REMAINDER, "of_bound").T
    axes.scatter(*found, linewidths=0.8, label="worst, by search", **worst)


def _turns(axes: Axes, records: Records) -> None:
    randoms = {r["prompts"]: r for r in of_kind(records, "random turn")}
    _impossible(axes, CONSTANTS[0], min(r["bound"] for r in randoms.values()), "impossible (T6)")
    for k, (prompts, kind) in enumerate(TURNS.items()):
        look, bound = NEUTRALS[k], randoms[prompts]["bound"]
        axes.axhline(bound, color=look.color, linewidth=0.9, linestyle=look.line, zorder=1)
        axes.text(90, 1.03 * bound, "32" if prompts == 1 else "12√3", ha="right", fontsize=7.5)
        points = array(randoms[prompts]["points"]).reshape(-1, 2)
        worst = _searched(records, kind, "constant")
        looks: Any = {"marker": look.marker, "linewidths": 0.7}
        for name, (x, y), size, face, edge in (
            (f"random, {counted(prompts, 'prompt')}", points.T, 9, "none", look.color),
            (f"worst, {counted(min(prompts, 2), 'prompt')}", worst.T, 16, look.color, INK),
        ):
            axes.scatter(x, y, s=size, facecolors=face, edgecolors=edge, label=name, **looks)


def _impossible(axes: Axes, low: float, high: float, words: str) -> None:
    axes.fill_between(REACH, low, high, facecolor="none", edgecolor=GRID, hatch="///", linewidth=0)
    place: Any = {"x": 1.4e-3, "y": (low * high) ** 0.5, "va": "center", "fontsize": 7.5}
    axes.text(s=words, color=MUTED, bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1}, **place)


def _shares(records: Records) -> list[float]:
    """The largest |Δ − ηC| over its bound in each record that has one."""
    random = [float(r["quantiles"]["1.0"]) for r in of_kind(records, "random remainder")]
    extremal = [float(max(r["up"], r["down"])) for r in of_kind(records, "extremal")]
    searched = _searched(records, REMAINDER, "of_bound")[:, 1]
    return [*random, *extremal, *searched.tolist()]


def _times(records: Records) -> list[float]:
    """Strengths at which a sign turns, the least in each record, over their thresholds."""
    return [
        float(turn) / r["bound"]
        for r in of_kind(records, "random turn")
        for turn in (r["earliest"], *_searched(records, TURNS[r["prompts"]], "constant")[:, 1])
        if turn is not None
    ]


def _searched(records: Records, what: str, value: str) -> Array:
    """(reach, value) of the worst cases found, (n, 2)."""
    own = of_kind(records, "search", what=what)
    return array([[r["reach"], r[value]] for r in own]).reshape(-1, 2)


if __name__ == "__main__":
    draw_alone(__spec__)
