"""One forecast of an update and three diagnoses of it, from the bare law to the exact form.

Each point is one objective of one real update: what a predictor said against what happened, on
axes of signed square roots, on every rung. Only the bare law is known before the step. On the exact
rungs the points are enumerated and the bars are those of a sample of other completions. Points in
the upper left or lower right quadrant are wrong signs; the dashed line is the calibration.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.axes import signed_root_axes
from covlaw.figures._drawing.forecasts import PREDICTORS, Row, rows
from covlaw.figures._drawing.looks import INK, MUTED, objective_look
from covlaw.figures._drawing.style import new_figure, shorten, zero_line, zero_line_across
from covlaw.figures.registry import Description
from covlaw.records.findings import seeds_of, span
from covlaw.records.ladder import config_seed, llm_runs
from covlaw.records.study import percent

HEADINGS = dict(
    zip(
        PREDICTORS,
        ("forecast: law\nc·Cov(r, s)", "diagnosis: clipped law\nc·Cov(r, W)",
         "diagnosis: first order\nalong the step", "diagnosis: exact form\nCov(r, ρ)"),
        strict=True,
    )
)  # fmt: skip
BARS = 12
"""At most in a panel, evenly thinned."""


def draw(run: Path) -> Figure:
    """Draw a row a rung and a column a predictor: realised against predicted change."""
    found = rows(run)
    figure = new_figure(0.75 + 1.5 * max(len(found), 1))
    panels = figure.subplots(max(len(found), 1), len(PREDICTORS), squeeze=False)
    for line, row in zip(panels, found, strict=False):
        reach = _reach(row)
        for panel, name in zip(line, PREDICTORS, strict=True):
            _panel(panel, row, name)
            signed_root_axes(panel, reach)
        for panel in line[1:]:
            panel.tick_params(labelleft=False)
        line[0].set_ylabel(f"{row.rung}\n{'realised' if row.exact else 'measured'} change")
    for panel, heading in zip(panels[0], HEADINGS.values(), strict=True):
        where = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center"}
        panel.annotate(heading, (0.5, 1), (0, 26), **where)
    for panel in panels[-1]:
        panel.set_xlabel("predicted change", fontsize=8)
    figure.legend(handles=_handles(found), loc="outside lower center", ncols=3)
    return figure


def describe(run: Path) -> Description:
    """Say how well the exact form and the bare law are calibrated, over the rungs."""
    found = rows(run)
    title = "; ".join(
        f"{label}: slope {span([r.slope(name).value for r in found], 2)}, "
        f"{span([100 * _share(r.signs(name)) for r in found], 0)} % of signs right"
        for label, name in (("Exact form", "exact_change"), ("bare law", "law"))
    )
    counts = ", ".join(f"{r.rung} {int(r.update.max()) + 1}" for r in found)
    caption = f"Updates: {counts}; a point an objective, axes in signed square roots. "
    if any(r.exact for r in found):
        caption += (
            f"Exact rungs, seed {config_seed(run)}: six clipped steps on a sampled batch by "
            "SGD, AdamW or natural gradient; points enumerated, bars ± 2 standard errors of an "
            "estimate from 64 other completions a prompt. "
        )
    if not all(r.exact for r in found):
        seeds = seeds_of(llm_runs(run))
        caption += f"LLM, {seeds}: samples apart from the batch; bars alike, by prompt. "
    caption += (
        f"At most {BARS} bars a panel. Slopes with 95 % intervals, clustered by update; signs "
        "right; changes that an estimate met within 2 standard errors. Only the bare law is a "
        "forecast, known before the step up to its c; the others diagnose the step taken."
    )
    agreeing = [r.rung for r in found if r.laws_agree]
    if agreeing:
        caption += f" Nothing was clipped on {', '.join(agreeing)}: both laws agree (T26)."
    caption += " Each law's c is fitted, update by update, to the first order along the step."
    return Description(title, caption)


def _panel(axes: Axes, row: Row, name: str) -> None:
    own, slope = row.points[name], row.slope(name)
    axes.plot(*[[-1e3, 0, 1e3]] * 2, color=MUTED, linewidth=0.7, zorder=1)
    zero_line(axes)
    zero_line_across(axes)
    for j in range(len(row.objectives)):
        look, at = objective_look(j), np.flatnonzero(row.objective == j)
        few = at[:: -(-len(row.change) // BARS)]
        axes.plot(*row.bars(name, few), color=look.color, linewidth=0.6, alpha=0.6, zorder=2)
        x, y = own.forecast[at], row.change[at]
        axes.plot(x, y, look.marker, color=look.color, ms=2.6, mew=0, zorder=3)
    if np.isfinite(slope.value):
        ends = np.nanmin(own.forecast), np.nanmax(own.forecast)
        x = np.linspace(*ends, 41)
        y = slope.intercept + slope.value * x
        axes.plot(x, y, "--", color=INK, linewidth=1, zorder=4)
    interval = f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
    known = interval if np.isfinite(slope.value) else "unknown"
    signs, met = (percent(_share(found), "–") for found in (row.signs(name), row.within(name)))
    axes.set_title(f"slope {known}\nsigns {signs}, met {met}", fontsize=7, loc="left", pad=3)


def _reach(row: Row) -> float:
    """Half the width of a row's panels: every point is inside, forecasts and changes alike."""
    values = [row.change, *(p.forecast for p in row.points.values())]
    largest = float(np.nanmax(np.abs(np.concatenate(values)), initial=0))
    return 1.08 * largest or 1.0


def _handles(found: list[Row]) -> list[Line2D]:
    most = max((len(r.objectives) for r in found), default=0)
    handles = []
    for j in range(most):
        names = dict.fromkeys(r.objectives[j] for r in found if len(r.objectives) > j)
        look, label = objective_look(j), " / ".join(map(shorten, names))
        handles.append(
            Line2D([], [], color=look.color, marker=look.marker, ls="", ms=4, label=label)
        )
    lines = (("identity", MUTED, "-", 0.7), ("calibration line", INK, "--", 1.0))
    return handles + [Line2D([], [], color=c, ls=s, lw=w, label=n) for n, c, s, w in lines]


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else float("nan")


if __name__ == "__main__":
    draw_alone(__spec__)
