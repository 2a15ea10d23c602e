"""The blocks of docs/guard.md about sampling noise."""

from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from covlaw.figures._drawing.render import recorded
from covlaw.records.guard_pairs import Row
from covlaw.records.lines import read_records

PLAIN = "gramian-plain"


def noise() -> str:
    """What helps a sampled guard: % that sacrifice ± half its interval, and volume, by guard."""
    bare, kept = sampled()
    counts = sorted({row["samples"] for row in kept}, key=lambda k: k or np.inf)
    head = ["guard", *(f"K = {k}" if k else "exact" for k in counts)]
    lines = [["none", *([share(bare)] * len(counts))]]
    for guard in dict.fromkeys(row["guard"] for row in kept):
        cells = {row["samples"]: share(row) for row in kept if row["guard"] == guard}
        lines.append([f"`{guard}`", *(cells.get(k, "–") for k in counts)])
    return table(head, lines) + "\n" + fill(" ".join(_apart(kept)), 104) + "\n"


def rivals() -> str:
    """Guards and rivals on exact gradients: who sacrifices, volume, and what is gained in pairs."""
    head = ["guard or rival", "sacrifice an objective / volume", "volume less unguarded, in pairs"]
    lines = []
    for row in read_records(recorded("guard-rivals") / "guard_rivals.jsonl"):
        more = row["less none"]["hypervolume"]
        gain = f"{more['mean']:.3f}, {more['low']:.3f} to {more['high']:.3f}"
        own = row["guard"] == "none"
        lines.append(["none" if own else f"`{row['guard']}`", share(row), "" if own else gain])
    return table(head, lines)


def others() -> str:
    """What the guard study leaves out, on exact gradients: who sacrifices, and volume."""
    rows = read_records(recorded("guard-others") / "guard_others.jsonl")
    guards = list(dict.fromkeys(row["guard"] for row in rows))
    found = {(row["algorithm"], row["guard"]): share(row) for row in rows}
    lines = [
        [name, *(found[name, guard] for guard in guards)]
        for name in dict.fromkeys(row["algorithm"] for row in rows)
    ]
    head = ["", *(f"`{guard}`" if guard != "none" else "none" for guard in guards)]
    kept = [row for row in rows if row["guard"] != "none"]
    return table(head, lines) + "\n" + fill(" ".join(_apart(kept)), 104) + "\n"


def sampled() -> tuple[Row, list[Row]]:
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


def share(row: Row) -> str:
    """How many runs sacrifice an objective, and hypervolume."""
    return f"{left(row)} / {row['hypervolume']['mean']:.3f}"


def left(row: Row) -> str:
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
    return table(head, lines) + "\n" + fill(" ".join(said), 104) + "\n"


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


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    every = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)
