"""Where the law stops holding: shares of the exact budgets, by optimiser and learning rate.

Upper rows split each change into law, direction, logit curvature and tilt curvature (T10), as
shares of their sizes; the diamond is their sum, a cross marks a change against the law's sign, a
star a certified one. The last row shows T9's seven terms at the learning rate's own scale: with
AdamW the optimiser hides all else there. At small rates direction hides the law, then curvature.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, MIST, NEUTRALS, PAPER, SAND, SNOW, Look
from covlaw.figures._drawing.style import new_figure, shorten, zero_line
from covlaw.figures.registry import Description
from covlaw.records.ladder import Array, array
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records, distinct, having

FILE = "budgets.jsonl"
SHORT = {
    "law": NEUTRALS[0]._replace(hatch=""),
    "direction": Look(SAND, "", "", "//"),
    "logit": NEUTRALS[2]._replace(hatch="--"),
    "tilt": Look(MIST, "", "", "xx"),
}
"""Terms of T10, whose scale is fitted to the step: the law, then the gaps in the chain's order."""
FULL = {
    "f0": SHORT["law"],
    "kernel": NEUTRALS[1]._replace(hatch="\\\\"),
    "clipping": Look(GRID, "", "", "////"),
    "sampling": Look(SNOW, "", "", "++"),
    "optimiser": Look(SAND, "", "", "||"),
    "logit": SHORT["logit"],
    "tilt": SHORT["tilt"],
}
"""Terms of T9: at the learning rate's own scale."""
MARKS = 1.13
"""Height of the marks over the bars."""


def draw(run: Path) -> Figure:
    """Draw a column an optimiser and a row an objective (T10), then a row of T9's terms."""
    records = read_records(run / FILE)
    optimisers, objectives = (distinct(records, key) for key in ("optimiser", "objective"))
    count = len(objectives)
    figure = new_figure(1.4 + 1.12 * (count + 1))
    panels = figure.subplots(count + 1, len(optimisers), sharey="row", sharex="col", squeeze=False)
    for column, optimiser in zip(panels.T, optimisers, strict=True):
        own = _by_rate(having(records, optimiser=optimiser))
        for panel, objective in zip(column, objectives, strict=False):
            _signed(panel, having(own, objective=objective))
        _unsigned(column[-1], own)
        column[0].set_title(shorten(optimiser, 30))
        column[-1].set_xlabel("learning rate")
    for row, objective in zip(panels[:, 0], objectives, strict=False):
        row.set_ylabel(f"{shorten(objective)}\nshare", fontsize=8)
    panels[-1, 0].set_ylabel("unscaled (T9)\nshare of sizes", fontsize=8)
    pairs = (panel.get_legend_handles_labels() for panel in panels.flat)
    entries = {name: h for handles, names in pairs for h, name in zip(handles, names, strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=5)
    return figure


def describe(run: Path) -> Description:
    """Say what share the law has from the smallest rate to the largest, and what it decides."""
    records = read_records(run / FILE)
    shares = [f"{name} {_fall(records, name)} %" for name in distinct(records, "optimiser")]
    right, certified = (sum(map(test, records)) for test in (_right, _certified))
    title = (
        f"The law's share, smallest to largest rate: {', '.join(shares)}; "
        f"its sign holds in {right} of {len(records)}"
    )
    caption = (
        f"{len(records)} exact budgets of a transformer whose completions are all enumerated. "
        "Upper rows, T10: the change of an objective is law + direction + logit curvature + tilt "
        "curvature, the law's scale fitted to the step; each over the sum of sizes, the diamond "
        f"their sum. The certificate covers {certified}. Last row, T9: the sizes of all terms at "
        "the learning rate's own scale, over all objectives; there an optimiser that rescales the "
        "gradient hides the law."
    )
    return Description(title, caption)


def _right(record: dict[str, Any]) -> bool:
    return bool(record["short"]["law"] * record["realised"] > 0)


def _certified(record: dict[str, Any]) -> bool:
    return bool(record["short"]["certified"])


def _fall(records: Records, optimiser: str) -> str:
    """Mean share over objectives at the smallest and the largest rate."""
    own = _by_rate(having(records, optimiser=optimiser))
    ends = [having(own, learning_rate=own[k]["learning_rate"]) for k in (0, -1)]
    shares = [np.mean([abs(_shares(r["short"], SHORT)[0]) for r in end]) for end in ends]
    return " → ".join(f"{100 * share:.0f}" for share in shares)


def _shares(terms: dict[str, float], names: dict[str, Look]) -> Array:
    """Each term over Σ|terms|; 0 where all vanish."""
    values = array([terms[name] for name in names])
    total = float(np.abs(values).sum())
    return values / total if total > 0 else np.zeros_like(values)


def _signed(axes: Axes, records: Records) -> None:
    shares = np.stack([_shares(r["short"], SHORT) for r in records], 1)
    _stack(axes, shares, SHORT)
    place = np.arange(len(records))
    axes.plot(place, shares.sum(0), "D", color=INK, mec=PAPER, ms=4.5, label="realised")
    certified = [k for k, r in enumerate(records) if _certified(r)]
    opposite = [k for k, r in enumerate(records) if not _right(r)]
    for found, marker, label in ((certified, "*", "certified"), (opposite, "X", "opposite sign")):
        if found:
            axes.plot(found, [MARKS] * len(found), marker, color=INK, ms=5, label=label)
    axes.set_ylim(-1.2, 1.3)
    zero_line(axes)


def _unsigned(axes: Axes, records: Records) -> None:
    rates = distinct(records, "learning_rate")
    terms = [having(records, learning_rate=rate) for rate in rates]
    sizes = [np.abs(array([[r["terms"][n] for n in FULL] for r in own])).sum(0) for own in terms]
    _stack(axes, np.stack([size / (size.sum() or 1.0) for size in sizes], 1), FULL)
    axes.set_ylim(0, 1)
    axes.set_xticks(np.arange(len(rates)), [f"{rate:g}" for rate in rates], fontsize=7.5)


def _stack(axes: Axes, shares: Array, looks: dict[str, Look]) -> None:
    """Stack bars (terms, rates) up and down from 0."""
    up, down = np.zeros(shares.shape[1]), np.zeros(shares.shape[1])
    for value, (name, look) in zip(shares, looks.items(), strict=True):
        style: dict[str, Any] = {"color": look.color, "hatch": look.hatch, "edgecolor": INK}
        base, label = np.where(value >= 0, up, down), "law" if name == "f0" else name
        axes.bar(np.arange(len(value)), value, 0.75, base, label=label, linewidth=0.4, **style)
        up, down = up + np.maximum(value, 0), down + np.minimum(value, 0)


def _by_rate(records: Records) -> Records:
    return sorted(records, key=lambda r: float(r["learning_rate"]))


if __name__ == "__main__":
    draw_alone(__spec__)
