"""What clipping does to the law, and where its margin certifies the sign (T26, T27).

Each mark is an inner step: how large the margin bound is against the law (x), and what clipping
leaves of the law (y). T27 confines all of them to the grey cone, so left of x = 1 no objective's
sign can turn; the search's cases on the cone's edges show that the bound cannot be improved. On
the right, drift is counted in no-clip radii (T26): nothing is clipped up to 1, and beyond it an
objective that hardly correlates with the score is the first to lose its certificate, and then its
sign.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import GRID, INK, MUTED, NEUTRALS
from covlaw.figures._drawing.shares import draw_shares
from covlaw.figures._drawing.style import new_figure, zero_line
from covlaw.figures.registry import Description
from covlaw.records.ladder import Array, array
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records, of_kind

FRAME = (0.0, 3.0), (-2.1, 4.2)
"""Of x and y on the left; the cone leaves it at the right edge only."""
KEPT, TURNED = (look.color for look in NEUTRALS[:2])


def draw(run: Path) -> Figure:
    """Draw each inner step in the cone of T27, and shares certified and turned by drift."""
    records = read_records(run / "clipping.jsonl")
    figure = new_figure(3.7)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
    _cone(figure.add_subplot(grid[:, 0]), records)
    above = figure.add_subplot(grid[0, 1])
    below = figure.add_subplot(grid[1, 1], sharex=above)
    _by_drift(above, records, "certified", "sign certified")
    _by_drift(below, records, "turned", "sign turned")
    above.tick_params(labelbottom=False)
    below.set_xlabel("drift ÷ no-clip radius")
    small: Any = {"fontsize": 7.5, "title_fontsize": 7.5, "columnspacing": 1.0}
    below.legend(title="correlation of objective and score", loc="upper right", ncols=3, **small)
    return figure


def describe(run: Path) -> Description:
    """Count signs that turn inside the certificate and beyond it."""
    records = read_records(run / "clipping.jsonl")
    random = of_kind(records, "random")
    certified, wrong = (_total(random, key) for key in ("certified", "turned_certified"))
    n, turned, clipped, outside, step = (
        _total(random, key) for key in ("n", "turned", "clipped", "outside", "step_turned")
    )
    beyond = _percent(turned - wrong, n - certified)
    title = (
        f"{'No sign turns' if wrong == 0 else f'{wrong} signs turn'} inside the clipping "
        f"certificate ({wrong} of {certified:,}); beyond it {beyond} do"
    )
    points = _points(random)
    caption = (
        f"{n:,} random inner steps of enumerated bandits (3 prompts × 5 completions, seed "
        f"{random[0]['seed']:g}; {clipped:,} clip some completion), and the worst that a search "
        f"finds. Left: {len(points)} random ones, {len(points) - len(_inside(points))} beyond the "
        f"frame, and the searched. T27 proves |y − 1| ≤ x, the grey cone "
        f"({outside} of {n:,} are outside), so that no sign turns (y < 0) before "
        f"x = 1; {_first_turn(records)}. Right: shares by how far the "
        "logits have drifted since the policy that sampled, in units of T26's no-clip radius, "
        "for three correlations of objective and training score; clip ranges "
        f"{', '.join(f'{clip:g}' for clip in _values(random, 'clip'))} together; bars: 95 % Wilson "
        f"intervals. Of the natural steps themselves (T25), {_percent(step, n)} turn."
    )
    return Description(title, caption)


def _cone(axes: Axes, records: Records) -> None:
    (left, right), (bottom, _) = FRAME
    x = array([left, right])
    axes.fill_between(x, 1 - x, 1 + x, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.plot([1, 1], [bottom, 2], color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    zero_line(axes)
    points = _points(of_kind(records, "random"))
    worst = array([[r["x"], r["y"]] for r in of_kind(records, "search")])
    turned = points[:, 1] < 0
    marks: Iterable[tuple[Array, str, dict[str, Any]]] = (
        (points[~turned], "sign kept", {"marker": "o", "s": 8, "c": "none", "edgecolors": KEPT}),
        (points[turned], "sign turned", {"marker": "x", "s": 14, "c": TURNED}),
        (worst, "worst, by search", {"marker": "D", "s": 12, "c": "none", "edgecolors": INK}),
    )
    for place, words, style in marks:
        axes.scatter(*_inside(place).T, label=words, linewidths=0.8, **style)
    small: Any = {"fontsize": 7.5, "color": MUTED, "va": "bottom"}
    axes.text(0.97, bottom, "certified", ha="right", **small)
    axes.text(1.03, bottom, "open", ha="left", **small)
    axes.text(0.08, -1, "impossible\n(T27)", ha="left", **small)
    axes.set(xlim=FRAME[0], ylim=FRAME[1], ylabel="y = clipped law ÷ law")
    axes.set_xlabel("x = margin bound ÷ |law|")
    axes.legend(loc="upper left", handletextpad=0.2)


def _by_drift(axes: Axes, records: Records, key: str, words: str) -> None:
    random = of_kind(records, "random")
    drifts = _values(random, "drift")
    for k, correlation in enumerate(_values(random, "correlation")):
        own = [r for r in random if r["correlation"] == correlation]
        cells = [[r for r in own if r["drift"] == drift] for drift in drifts]
        counts = [(_total(cell, key), _total(cell, "n")) for cell in cells]
        draw_shares(axes, drifts, counts, NEUTRALS[k], f"{correlation:g}")
    axes.axvline(1, color=MUTED, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes.set(ylim=(-0.03, 1.03), ylabel="share", title=words)


def _total(cells: Records, key: str) -> int:
    return sum(int(cell[key]) for cell in cells)


def _points(random: Records) -> Array:
    return array([point for cell in random for point in cell["points"]]).reshape(-1, 2)


def _inside(points: Array) -> Array:
    """Those (x, y) that the frame shows."""
    (left, right), (bottom, top) = FRAME
    x, y = points.T
    shown: Array = points[(x >= left) & (x <= right) & (y >= bottom) & (y <= top)]
    return shown


def _first_turn(records: Records) -> str:
    found = [r["x"] for r in records if r.get("niche") == "first turn"]
    return f"the search turns one at x = 1 + {found[0] - 1:.0e}" if found else "it turns none"


def _values(records: Records, key: str) -> list[float]:
    return sorted({float(r[key]) for r in records})


def _percent(count: int, n: int) -> str:
    return f"{100 * count / n:.0f} %" if n else "none"


if __name__ == "__main__":
    draw_alone(__spec__)
