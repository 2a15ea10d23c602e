"""How a model's geometry bends the law: kernel spectra and the share of opposed signs (T13).

A policy gradient sees the law through its model's score kernel. The further the kernel's
eigenvalues spread, the less the sign of a covariance says about the sign of a plain gradient's
effect; so who is traded away depends on the model, and not on the rewards alone.
"""

from itertools import chain, cycle, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import INK, MUTED, NEUTRALS, SNOW, Look
from covlaw.figures._drawing.style import new_figure, power_of_ten
from covlaw.figures.registry import Description
from covlaw.records.findings import span
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records, distinct

KINDS = {
    "modes": ("no direction preferred", 1.0),
    "tables": ("independent numbers", 0.35),
    "mixtures": ("mixtures of the objectives", 0.0),
}
"""Kind of random pairs → (what it is, how far its markers are filled)."""


def draw(run: Path) -> Figure:
    """Draw spectra, prediction against measurement, and what is certified of real objectives."""
    records = read_records(run / "geometry.jsonl")
    figure = new_figure(2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1.2))
    _spectra(left, records)
    _scatter(middle, records)
    _certified(right, records)
    lines, kinds = (x.get_legend_handles_labels() for x in (left, middle))
    # a legend fills column by column: models above, kinds of pairs below
    pairs = chain(*zip_longest(zip(*lines, strict=True), zip(*kinds, strict=True)))
    handles, labels = zip(*filter(None, pairs), strict=True)
    columns = max(len(lines[0]), len(kinds[0]))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def describe(run: Path) -> Description:
    """Say how far prediction and measurement are apart."""
    records = read_records(run / "geometry.jsonl")
    architectures = len(distinct(records, "architecture"))
    least = min(record["threshold"] for record in records)
    worst = {words: _worst(records, kind) for kind, (words, _) in KINDS.items()}
    misses = ", ".join(f"{w} {100 * x:.1f} ({100 * y:.1f})" for w, (x, y) in worst.items())
    caption = (
        f"{len(records)} freshly initialised causal LMs ({architectures} architectures, "
        f"{len(distinct(records, 'width'))} widths, thick lines and large markers the larger), "
        "all completions enumerated. Left: eigenvalues of the score kernel over the largest; a "
        "flat spectrum would make plain gradients follow the law, and the spread here leaves no "
        f"correlation below {least:.3f} certified for all scores (T13). Middle: the "
        "share of random pairs (r, s) whose plain policy gradients and covariance have opposite "
        "signs, against the prediction from the covariance and the Gramian of their family; worst "
        f"misses in points, in brackets those of the mean of the other models: {misses}. "
        "Dotted: the mean of each kind. Right: of the task's own objectives and random weightings "
        f"of them, {_range(records, 'disagree')} are opposed; the angle of each score "
        f"certifies {_range(records, 'certified_by_score')}, the condition number "
        f"{_range(records, 'certified')}; of the certified pairs "
        f"{_range(records, 'certified_wrong')} are opposed."
    )
    shares = [100 * record[kind]["disagree"] for record in records for kind in KINDS]
    title = (
        "Covariance and Gramian of a family predict how often gradient and law disagree: "
        f"{span(shares)} % of random pairs, to within {100 * max(worst.values())[0]:.1f} points"
    )
    return Description(title, caption)


def _spectra(axes: Axes, records: Records) -> None:
    looks = _looks(records)
    narrow = min(record["width"] for record in records)
    for record in records:
        look, size = looks[record["architecture"]], record["spectrum"]
        wide = record["width"] > narrow
        share = np.linspace(0, 100, len(size))
        label = record["architecture"] if wide or len(looks) == len(records) else None
        line: Any = {"color": look.color, "linestyle": look.line, "linewidth": 2 if wide else 0.9}
        marks: Any = {"marker": look.marker, "markevery": (4, 8), "markersize": 4}
        axes.plot(share, size, label=label, **line, **marks)
    axes.set(yscale="log", xlabel="% of eigenvalues below", title="kernel spectrum")
    axes.set_ylabel("eigenvalue / largest")
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.grid(axis="y")


def _scatter(axes: Axes, records: Records) -> None:
    looks = _looks(records)
    for kind, (words, fill) in KINDS.items():
        for record in records:
            look = looks[record["architecture"]]
            face = (*to_rgb(look.color), fill)
            point = record["by_family"][kind], record[kind]["disagree"]
            size = 14 + 2 * record["width"]
            axes.scatter(*point, s=size, marker=look.marker, color=look.color, facecolor=face)
        axes.axhline(_mean(records, kind), color=MUTED, linewidth=0.8, linestyle=":", zorder=0)
        grey = (*to_rgb(MUTED), fill)
        axes.scatter([], [], marker="o", color=MUTED, facecolor=grey, label=words)
    axes.plot([0, 0.5], [0, 0.5], color=MUTED, linewidth=0.8, zorder=0)
    axes.set(xlim=(0, 0.5), ylim=(0, 0.5), xlabel="predicted share", ylabel="measured share")
    axes.set_title("opposed signs")


def _certified(axes: Axes, records: Records) -> None:
    place = np.arange(len(records))
    for shift, key, words, color, hatch in (
        (-0.2, "certified_by_score", "certified", MUTED, ""),
        (0.2, "disagree", "opposed", SNOW, "//"),
    ):
        shares = [record["objectives"][key] for record in records]
        style: Any = {"color": color, "hatch": hatch, "edgecolor": INK, "linewidth": 0.4}
        axes.bar(place + shift, shares, 0.4, label=words, **style)
    names = [f"{record['architecture']} {record['width']}" for record in records]
    axes.set_xticks(place, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set(ylim=(0, 1), ylabel="share of pairs", title="the task's objectives")
    axes.legend(loc="upper right")


def _worst(records: Records, kind: str) -> tuple[float, float]:
    """Largest miss of the prediction, and of a constant: the mean over the other models."""
    shares = np.array([record[kind]["disagree"] for record in records])
    predicted = np.array([record["by_family"][kind] for record in records])
    others = (shares.sum() - shares) / max(len(shares) - 1, 1)
    return float(np.abs(shares - predicted).max()), float(np.abs(shares - others).max())


def _mean(records: Records, kind: str) -> float:
    return float(np.mean([record[kind]["disagree"] for record in records]))


def _looks(records: Records) -> dict[str, Look]:
    return dict(zip(distinct(records, "architecture"), cycle(NEUTRALS), strict=False))


def _range(records: Records, key: str) -> str:
    return f"{span([100 * record['objectives'][key] for record in records])} %"


if __name__ == "__main__":
    draw_alone(__spec__)
