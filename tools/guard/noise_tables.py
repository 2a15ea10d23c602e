"""The blocks of docs/guard.md about sampling noise and about what was to be reached."""

from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from covlaw.figures._drawing.render import recorded
from covlaw.records.guard_pairs import Row
from covlaw.records.lines import read_records
from covlaw.records.study import END, study_summary
from covlaw.toys.study.guards import find_guard

PLAIN = "gramian-plain"
LINEAR = ("linear", "gdpo", "ctwa-guided")
"""Methods that weigh rewards."""
LEFT = {4: 0.10, 16: 0.03, 64: 0.01}
"""Share of linear runs that a guard on K completions a prompt was to leave at most."""
ANY = 0.02
"""The same with exact gradients."""


def noise() -> str:
    """What helps a sampled guard: % that sacrifice ± half its interval, and volume, by guard."""
    bare, kept = _sampled()
    counts = sorted({row["samples"] for row in kept}, key=lambda k: k or np.inf)
    head = ["guard", *(f"K = {k}" if k else "exact" for k in counts)]
    lines = [["none", *([_share(bare)] * len(counts))]]
    for guard in dict.fromkeys(row["guard"] for row in kept):
        cells = {row["samples"]: _share(row) for row in kept if row["guard"] == guard}
        lines.append([f"`{guard}`", *(cells.get(k, "–") for k in counts)])
    return _table(head, lines) + "\n" + fill(" ".join(_apart(kept)), 104) + "\n"


def _sampled() -> tuple[Row, list[Row]]:
    """The unguarded record, and the guarded ones."""
    rows = read_records(recorded("guard-noise") / "guard_noise.jsonl")
    [bare] = [row for row in rows if row["guard"] == "none"]
    return bare, [row for row in rows if row["guard"] != "none"]


def _apart(kept: Sequence[Row]) -> list[str]:
    """Guarded less unguarded, in pairs."""
    less = [row["less none"] for row in kept]
    closest = max(own["sacrifices"]["high"] for own in less)
    larger = sum(own["hypervolume"]["low"] > 0 for own in less)
    smaller = sum(own["hypervolume"]["high"] < 0 for own in less)
    alone, pairs = (sum(own["only guarded"] for own in less), sum(row["runs"] for row in kept))
    return [
        f"In pairs, in every cell, at least {-100 * closest:.0f} percentage points fewer sacrifice",
        "than unguarded (ends of intervals). The volume is larger beyond the interval in",
        f"{larger} of {len(kept)} cells and smaller in {smaller}. In {alone} of {pairs} pairs the",
        "guarded run sacrifices an objective and its twin none.",
    ]


def _share(row: Row) -> str:
    return f"{_left(row)} / {row['hypervolume']['mean']:.3f}"


def _left(row: Row) -> str:
    """% ± half its interval; of none a count, since resampling none gives an interval of 0."""
    lost = row["sacrifices"]
    if lost["mean"] == 0:
        return f"0 of {row['runs']}"
    return f"{100 * lost['mean']:.0f} ± {50 * (lost['high'] - lost['low']):.0f}"


def gramians() -> str:
    """Sampled Gramians: % that sacrifice, volume, and how far the first batch's weights are off."""
    rows = read_records(recorded("gramian-noise") / "gramian_noise.jsonl")
    found = {(row["algorithm"], row["guard"], row["samples"]): row for row in rows}
    counts = sorted({row["samples"] for row in rows} - {0})
    lines = []
    for method in dict.fromkeys(row["algorithm"] for row in rows):
        exact = _cell(found[method, "none", 0])
        for guard in dict.fromkeys(row["guard"] for row in rows if row["samples"]):
            cells = [_cell(found[method, guard, k]) for k in counts]
            lines.append([f"{method}, {guard.removeprefix('gramian-')}", *cells, exact])
    head = ["method, Gramian", *(f"K = {k}" for k in counts), "exact"]
    said = [
        line for guard in ("gramian-crossed", "gramian-unshrunk") for line in _less(rows, guard)
    ]
    return _table(head, lines) + "\n" + fill(" ".join(said), 104) + "\n"


def _cell(row: Row) -> str:
    off = f" / {row['weights first']['mean']:.2f}" if row["samples"] else ""
    return f"{100 * row['sacrifices']['mean']:.0f} / {row['hypervolume']['mean']:.3f}{off}"


def _less(rows: Sequence[Row], guard: str) -> Iterator[str]:
    """One kind of Gramian less the plain one, in pairs of the same worlds."""
    own = [row for row in rows if row["guard"] == guard]
    plain = {(r["algorithm"], r["samples"]): r for r in rows if r["guard"] == PLAIN}
    fewer, more = _beyond(own, "sacrifices")
    smaller, larger = _beyond(own, "hypervolume")
    off = [(r, plain[r["algorithm"], r["samples"]]) for r in own]
    pairs = [[r["weights first"]["mean"] for r in two] for two in off]
    apart = [two for two in pairs if max(two) > 0]
    farther = sum(one > other for one, other in apart)
    name = guard.removeprefix("gramian-")
    yield f"`{name}` less plain, in pairs, beyond the interval: fewer runs sacrifice in {fewer} of"
    yield f"{len(own)} cells and more in {more}, the volume is larger in {larger} and smaller in"
    yield f"{smaller}; in the first batch its weights are farther from those by the exact Gramian"
    yield f"in {farther} of {len(apart)} (GradNorm's are equal at first)."


def _beyond(rows: Sequence[Row], name: str) -> tuple[int, int]:
    """In how many cells the whole interval of a difference is below 0, and above."""
    less: list[Any] = [row["less plain"][name] for row in rows]
    return sum(own["high"] < 0 for own in less), sum(own["low"] > 0 for own in less)


def bars() -> str:
    """What was to be reached, and what was."""
    cells = {
        (c["world"].removeprefix("transformer "), c["algorithm"], c["guard"]): c["at"][END]
        for c in study_summary(recorded("study-guard"))["guards"]
        if not c["samples"]
    }
    lines = []
    for rate, guard in ((".001", "guard"), (".003", "guard"), (".01", "guard-curvature")):
        pairs = [
            (cells[f"adamw-{rate}", a, "none"], cells[f"adamw-{rate}", a, guard]) for a in LINEAR
        ]
        lost = [kept["sacrifices"]["mean"] for _, kept in pairs]
        volumes = [[c["hypervolume"]["mean"] for c in two] for two in pairs]
        told = [
            f"{name} {100 * share:.0f} %, {bare:.3f} → {kept:.3f}"
            for name, share, (bare, kept) in zip(LINEAR, lost, volumes, strict=True)
        ]
        met = _yes(max(lost) <= ANY), _yes(all(bare < kept for bare, kept in volumes))
        bar = f"`{guard}`, rate {rate}: at most {100 * ANY:.0f} %, at more volume than unguarded"
        lines.append([bar, "; ".join(told), f"{met[0]}; volume {met[1]}"])
    _, kept = _sampled()
    for count, bar in LEFT.items():
        best = min((r for r in kept if r["samples"] == count), key=_price)
        own = best["sacrifices"]
        met = (
            "no, but within its interval"
            if own["mean"] > bar >= own["low"]
            else _yes(own["mean"] <= bar)
        )
        unit = " %" if own["mean"] else ""
        measured = f"{_left(best)}{unit}, `{best['guard']}`"
        lines.append([f"linear, .003, K = {count}: at most {100 * bar:.0f} %", measured, met])
    worst = max(r["less none"]["sacrifices"]["high"] for r in kept if r["samples"])
    never = f"in pairs at least {-100 * worst:.0f} points fewer sacrifice"
    lines.append(["never worse than unguarded, at any K", never, _yes(worst <= 0)])
    return _table(["what was to be reached", "measured", "reached"], lines)


def _price(row: Row) -> tuple[float, float]:
    return row["sacrifices"]["mean"], -row["hypervolume"]["mean"]


def _yes(found: bool) -> str:
    return "yes" if found else "no"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    every = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)
