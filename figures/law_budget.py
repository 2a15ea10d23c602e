"""Where the law stops holding: the seven terms of the exact budget, by optimiser and rate."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures.alone import draw_alone
from covlaw.figures.records import array, json_lines
from covlaw.figures.registry import Description
from covlaw.figures.style import INK, Look, new_figure, shorten, zero_line

TERMS = {
    "f0": Look("#0072b2", "", ""),
    "kernel": Look("#e69f00", "", "", "//"),
    "clipping": Look("#cc79a7", "", "", "xx"),
    "sampling": Look("#56b4e9", "", "", ".."),
    "optimiser": Look("#d55e00", "", "", "\\\\"),
    "logit": Look("#009e73", "", "", "--"),
    "tilt": Look("#f0e442", "", "", "oo"),
}
"""Terms of T9 in the chain's order: the law, then the gaps."""
LAW = "f0"


def draw(run: Path) -> Figure:
    """Draw one panel an optimiser and objective; bars are learning rates."""
    records = json_lines(run / "budgets.jsonl")
    optimisers = list(dict.fromkeys(r["optimiser"] for r in records))
    objectives = list(dict.fromkeys(r["objective"] for r in records))
    figure = new_figure(1.2 + 1.5 * len(objectives))
    panels = figure.subplots(
        len(objectives), len(optimisers), sharey=True, sharex="col", squeeze=False
    )
    for row, objective in zip(panels, objectives, strict=True):
        for panel, optimiser in zip(row, optimisers, strict=True):
            own = [r for r in records if (r["optimiser"], r["objective"]) == (optimiser, objective)]
            _bars(panel, sorted(own, key=lambda r: float(r["learning_rate"])))
        row[0].set_ylabel(f"{shorten(objective)}\nshare of all terms")
    for panel, optimiser in zip(panels[0], optimisers, strict=True):
        panel.set_title(shorten(optimiser, 30))
    for panel in panels[-1]:
        panel.set_xlabel("learning rate")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def describe(run: Path) -> Description:
    """Say what share of the terms the law has, by optimiser."""
    records = json_lines(run / "budgets.jsonl")
    optimisers = list(dict.fromkeys(r["optimiser"] for r in records))
    shares = [f"{name} {_law_share(records, name)}" for name in optimisers]
    certified = sum(bool(r["short"]["certified"]) for r in records)
    caption = (
        f"{len(records)} exact budgets of a transformer whose completions are all enumerated (no "
        "sampling error in any term). Each bar shows the terms of T9 over the sum of their sizes; "
        "the diamond is the realised change on the same scale. The scale-free certificate (T10) "
        f"covers {certified} of {len(records)}."
    )
    return Description(f"The law's share of the budget: {'; '.join(shares)}", caption)


def _law_share(records: list[dict[str, Any]], optimiser: str) -> str:
    shares = [abs(_shares(r)[LAW]) for r in records if r["optimiser"] == optimiser]
    low, high = (round(100 * bound(shares)) for bound in (min, max))
    return f"{low} %" if low == high else f"{low}–{high} %"


def _shares(record: dict[str, Any]) -> dict[str, float]:
    """Each term over Σ|terms|; 0 where all vanish."""
    values = array([record["terms"][name] for name in TERMS])
    total = float(np.abs(values).sum())
    shares = values / total if total > 0 else np.zeros_like(values)
    return dict(zip(TERMS, map(float, shares), strict=True))


def _bars(axes: Axes, records: list[dict[str, Any]]) -> None:
    place = np.arange(len(records))
    shares = [_shares(r) for r in records]
    up, down = np.zeros(len(records)), np.zeros(len(records))
    for name, look in TERMS.items():
        value = np.array([share[name] for share in shares])
        base = np.where(value >= 0, up, down)
        label = "law" if name == LAW else name
        style: dict[str, Any] = {
            "color": look.color,
            "hatch": look.hatch,
            "edgecolor": INK,
            "linewidth": 0.4,
        }
        axes.bar(place, value, 0.75, bottom=base, label=label, **style)
        up, down = up + np.maximum(value, 0), down + np.minimum(value, 0)
    axes.plot(place, up + down, "D", color=INK, markersize=4, label="realised")
    axes.set_xticks(place, [f"{float(r['learning_rate']):g}" for r in records], fontsize=7.5)
    zero_line(axes)


if __name__ == "__main__":
    draw_alone(__spec__)
