"""What the reference implementation's defects cost: its behaviour less the published one's."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, NEUTRALS
from covlaw.figures._drawing.style import new_figure, zero_line_across
from covlaw.figures.registry import Description
from covlaw.records.findings import span
from covlaw.records.study import ALL, LEAD, in_order, study_summary

MEASURES = {"sacrifices": ("sacrifices, points", 100.0), "hypervolume": ("hypervolume", 1.0)}
"""Measure of `price` → (words, unit)."""
SPREAD = 0.75
"""Share of a row's height over which the markers of its worlds are spread."""


def draw(run: Path) -> Figure:
    """Draw the differences with their intervals, a row a scalarizer and a marker a world."""
    prices = priced(study_summary(run))
    names, worlds = _names(prices), _worlds(prices)
    figure = new_figure(1.3 + 0.42 * len(names))
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, measure in zip(panels, MEASURES, strict=True):
        _panel(axes, prices, measure, (names, worlds))
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3)
    return figure


def describe(run: Path) -> Description:
    """Name the defects that are certain to cost something."""
    summary = study_summary(run)
    prices = priced(summary)
    last = [p for p in prices if p["world"] == _worlds(prices)[-1]]
    worse = [p for p in last if p["sacrifices"]["low"] > 0]
    worse.sort(key=lambda p: -p["sacrifices"]["mean"])
    better = [p["scalarizer"] for p in last if p["sacrifices"]["high"] < 0]
    said = ", ".join(f"{p['scalarizer']} +{100 * p['sacrifices']['mean']:.0f}" for p in worse)
    title = (
        f"Reference defects that sacrifice more runs in {last[0]['world']}, in points: {said}"
        if worse
        else "No reference defect is sure to sacrifice more runs here"
    )
    pairs = span([p["pairs"] for p in prices if p["world"] != ALL], to=" to ")
    caption = (
        "Difference between the reference implementation's behaviour and the published algorithm "
        f"in the same drawn worlds, {pairs} pairs "
        "a world, with 95 % bootstrap intervals. Left: share of runs that sacrifice an objective, "
        "in points; right: hypervolume of the final policy. Right of 0 on the left and left of 0 "
        "on the right, the defect costs something."
        + (f" Fewer runs are sacrificed by the defects of {', '.join(better)}." if better else "")
    )
    return Description(title, caption)


def priced(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the prices that are shown, the dearest scalarizer first.

    Each world under its first optimiser, SGD where it has one; transformers under `LEAD` too.
    """
    shown = _shown([p["world"] for p in summary["price"]])
    prices = [p for p in summary["price"] if p["sacrifices"] and p["world"] in shown]
    last = _worlds(prices)[-1] if prices else ALL
    size = {p["scalarizer"]: p["sacrifices"]["mean"] for p in prices if p["world"] == last}
    return sorted(prices, key=lambda p: -size[p["scalarizer"]])


def _panel(
    axes: Axes, prices: list[dict[str, Any]], measure: str, rows: tuple[list[str], list[str]]
) -> None:
    (names, worlds), (words, unit) = rows, MEASURES[measure]
    for k, world in enumerate(worlds):
        look = NEUTRALS[k % len(NEUTRALS)]
        own = [p for p in prices if p["world"] == world]
        mean, low, high = (
            unit * np.asarray([p[measure][key] for p in own]) for key in ("mean", "low", "high")
        )
        shift = SPREAD / len(worlds) * (k - (len(worlds) - 1) / 2)
        place = np.asarray([names.index(p["scalarizer"]) for p in own]) + shift
        color = INK if world == ALL else look.color
        style: dict[str, Any] = {
            "fmt": look.marker,
            "markersize": 4,
            "linewidth": 1,
            "color": color,
        }
        label = world.replace("_", " ")
        ends = np.stack([mean - low, high - mean])
        axes.errorbar(mean, place, xerr=ends, label=label, **style)
    zero_line_across(axes)
    axes.set_yticks(range(len(names)), names)
    axes.set(title=words, ylim=(len(names) - 0.4, -0.6))
    axes.grid(axis="x", color=GRID)


def _names(prices: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(p["scalarizer"] for p in prices))


def _worlds(prices: list[dict[str, Any]]) -> list[str]:
    return sorted(in_order([p["world"] for p in prices]), key=lambda world: world == ALL)


def _shown(worlds: list[str]) -> set[str]:
    first = {world.split(" ")[0]: world for world in reversed(in_order(worlds))}
    return {*first.values(), LEAD}


if __name__ == "__main__":
    draw_alone(__spec__)
