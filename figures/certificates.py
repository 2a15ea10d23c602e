"""How often certificates of a sign are wrong, and how often intervals hold the truth.

A row a law of rewards and signals with a known truth. Each mark is the worst of its batch sizes and
rewards: hollow, the plain rule of 3 (left) or 1.96 (right) clustered standard errors; filled,
`sign_certified` and `interval`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from covlaw.figures._drawing.alone import draw_alone
from covlaw.figures._drawing.looks import INK, MUTED, NEUTRALS
from covlaw.figures._drawing.style import new_figure
from covlaw.figures.registry import Description
from covlaw.records.lines import read_records
from covlaw.records.measurements import Records

FILE = "certificates.jsonl"
OURS, PLAIN = NEUTRALS[:2]
QUANTITIES = {"exact_change": "exact form", "law": "law", "measured": "measured"}
WRONG, LEVEL = 0.005, 0.95
"""What is promised: wrong signs at most, coverage at least."""


def draw(run: Path) -> Figure:
    """Draw worst rates by family."""
    records = read_records(run / FILE)
    rows = _families(records)
    figure = new_figure(0.19 * len(rows) + 1.1)
    left, right = figure.subplots(1, 2, sharey=True)
    _marks(left, rows, _worst_wrong)
    _marks(right, rows, _worst_cover)
    left.set_xscale("symlog", linthresh=WRONG)
    left.set_xlim(-0.0006, 1.6)
    left.set_xticks([0, WRONG, 0.05, 0.5], ["0", "1/200", "5 %", "50 %"])
    for promise, line in ((WRONG, "-"), (2 * WRONG, ":")):
        left.axvline(promise, color=MUTED, linewidth=0.8, linestyle=line, zorder=1)
    right.axvline(LEVEL, color=MUTED, linewidth=0.8, zorder=1)
    right.set_xlim(-0.03, 1.03)
    right.set_xticks([0, 0.5, LEVEL], ["0", "50 %", "95 %"])
    left.set_title("certified wrongly")
    right.set_title("intervals that cover")
    left.set_yticks(range(len(rows)), list(rows))
    left.invert_yaxis()
    left.legend(loc="lower right")
    return figure


def describe(run: Path) -> Description:
    """Count cells, and say what the worst one is with and without."""
    records = read_records(run / FILE)
    judged = [r for r in records if r["wrong"] is not None and r["truth"] != 0]
    zeros = [r for r in records if r["wrong"] is not None and r["truth"] == 0]
    worst, plain = (max(r[k] / r["n"] for r in judged) for k in ("wrong", "plain_wrong"))
    worst_zero, plain_zero = (max(r[k] / r["n"] for r in zeros) for k in ("wrong", "plain_wrong"))
    least, plain_least = (
        min(r[k] / r["n"] for r in records if r["truth"] != 0) for k in ("covered", "plain_covered")
    )
    shapes = sorted({(r["prompts"], r["completions"]) for r in records})
    title = (
        f"Signs of changes other than 0 are certified wrongly in at most {_percent(worst)} of "
        f"samples, by 3 standard errors in up to {_percent(plain)}"
    )
    caption = (
        f"{len(records)} cells: rewards of probability .002 to .5, ratios of mean 1 with light and "
        "heavy tails and with rare completions that turn the sign of the common ones, scores, and "
        f"paired changes; {shapes[0][0]} to {shapes[-1][0]} prompts, 2 to 16 completions each, "
        f"{records[0]['n']:,} batches a cell. Marks: the worst of a family's cells; hollow: plain "
        "rules; lines: what is promised of wrong signs (solid) and of changes that are 0 (dotted), "
        "whose sign is wrong whenever certified. Those are certified in at most "
        f"{_percent(worst_zero)} (3 standard errors: {_percent(plain_zero)}). "
        f"Right: coverage of nominal 95 %, at least {_percent(least)} "
        f"(estimate ± 1.96 standard errors: {_percent(plain_least)}); unbounded intervals count as "
        "covering."
    )
    return Description(title, caption)


def _families(records: Records) -> dict[str, Records]:
    found: dict[str, Records] = {}
    for record in records:
        name = f"{record['family']} ({QUANTITIES[record['quantity']]})"
        found.setdefault(name, []).append(record)
    return found


def _worst_wrong(records: Records, prefix: str) -> float | None:
    own: list[float] = [r[f"{prefix}wrong"] / r["n"] for r in records if r["wrong"] is not None]
    return max(own) if own else None


def _worst_cover(records: Records, prefix: str) -> float | None:
    own: list[float] = [r[f"{prefix}covered"] / r["n"] for r in records]
    return min(own)


def _marks(
    axes: Axes, rows: dict[str, Records], rate: Callable[[Records, str], float | None]
) -> None:
    looks: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("plain_", {"color": PLAIN.color, "marker": "o", "markerfacecolor": "none"}, "plain rule"),
        ("", {"color": OURS.color, "marker": "s"}, "here"),
    )
    for prefix, look, label in looks:
        found = [(rate(records, prefix), k) for k, records in enumerate(rows.values())]
        points = [(x, k) for x, k in found if x is not None]
        axes.plot(*zip(*points, strict=True), linestyle="", ms=4, label=label, **look)
    axes.grid(axis="y", linewidth=0.4)
    axes.tick_params(axis="y", labelsize=6, labelcolor=INK)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


if __name__ == "__main__":
    draw_alone(__spec__)
