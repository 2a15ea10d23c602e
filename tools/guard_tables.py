"""Write the marked blocks of docs/guard.md from the records: from the source tree only.

`python tools/guard_tables.py`, after `tools/guard_runs.py` or `tools/guard_noise.py` recorded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from covlaw.figures._drawing.render import recorded
from covlaw.records.runs import read_lines

PAGE = Path(__file__).parents[1] / "docs" / "guard.md"
BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", re.DOTALL)
Row = Mapping[str, Any]


def page(text: str) -> str:
    """Replace what stands between the marks."""
    return BLOCK.sub(
        lambda found: f"<!-- {found[1]} -->\n{BLOCKS[found[1]]()}<!-- /{found[1]} -->", text
    )


def runs() -> str:
    """RL runs in pairs: ends, who was sacrificed, and whether μ names them."""
    pairs = paired(list(read_lines(recorded("guard-llm") / "runs.jsonl")))
    head = ["base, algorithm", "pairs", "sacrifice", "guarded", "end", "guarded", "volume"]
    lines = [[*head, "guarded"], ["---"] * 8]
    groups: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for bare, kept in pairs:
        groups.setdefault((kept["base"], kept["algorithm"]), []).append((bare, kept))
    for (base, algorithm), own in groups.items():
        two = list(zip(*own, strict=True))
        lines.append([f"`{base}`, {algorithm}", str(len(own)), *_both(two, _lost)])
        lines[-1] += [*_both(two, _ends), *_both(two, _volume)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "\n" + fill(" ".join(_sentences(pairs)), 104) + "\n"


def paired(rows: Sequence[Row], guard: str = "guard") -> list[tuple[Row, Row]]:
    """(unguarded, guarded) runs of the same base, algorithm and seed."""
    place = {(r["base"], r["algorithm"], r["seed"]): r for r in rows if r["guard"] == "none"}
    kept = [r for r in rows if r["guard"] == guard]
    twins = [(place.get((r["base"], r["algorithm"], r["seed"])), r) for r in kept]
    return [(bare, own) for bare, own in twins if bare is not None]


def named(bare: Row, kept: Row) -> bool:
    """Whether the largest mean share of μ is on an objective that the unguarded run sacrificed."""
    return bool(bare["sacrificed"][int(np.mean(kept["mu_share"], 0).argmax())])


def _sentences(pairs: Sequence[tuple[Row, Row]]) -> list[str]:
    losers = [(bare, kept) for bare, kept in pairs if any(bare["sacrificed"])]
    lost = sum(any(kept["sacrificed"]) for _, kept in pairs)
    held = sum(named(bare, kept) for bare, kept in losers)
    spent = np.median([kept["seconds_share"] for _, kept in pairs])
    return [
        f"Of {len(pairs)} runs {len(losers)} sacrifice an objective unguarded and {lost} guarded.",
        f"Where one is sacrificed unguarded, μ of the guarded run is largest on it in {held} of",
        f"{len(losers)}. The guard's own part of a run's seconds, without sampling for it, is",
        f"{spent:.0%} in the median.",
    ]


def _both(two: Sequence[Sequence[Row]], show: Callable[[Sequence[Row]], str]) -> list[str]:
    return [show(rows) for rows in two]


def _lost(rows: Sequence[Row]) -> str:
    return str(sum(any(row["sacrificed"]) for row in rows))


def _ends(rows: Sequence[Row]) -> str:
    return " / ".join(f"{mean:.2f}" for mean in np.mean([row["end"] for row in rows], 0))


def _volume(rows: Sequence[Row]) -> str:
    return f"{np.mean([row['hypervolume'] for row in rows]):.3f}"


def noise() -> str:
    """What helps a sampled guard: % that sacrifice ± half its interval, and volume, by guard."""
    rows = list(read_lines(recorded("guard-noise") / "guard_noise.jsonl"))
    counts = sorted({row["samples"] for row in rows if row["samples"]})
    head = ["world, algorithm, guard", *(f"K = {k}" for k in counts)]
    lines = [head, ["---"] * len(head)]
    found: dict[tuple[Any, ...], dict[int, str]] = {}
    for row in rows:
        if row["samples"]:
            place = tuple(row[k] for k in ("world", "optimiser", "algorithm", "guard", "seed"))
            found.setdefault(place, {})[row["samples"]] = _share(row)
    for (world, optimiser, algorithm, guard, seed), cells in found.items():
        worlds = f", seeds from {seed}" if seed else ""
        name = f"{world} {optimiser}{worlds}, {algorithm}, {guard}"
        lines.append([name, *(cells.get(k, "–") for k in counts)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _share(row: Row) -> str:
    lost = row["sacrifices"]
    half = 50 * (lost["high"] - lost["low"])
    return f"{100 * lost['mean']:.0f} ± {half:.0f} / {row['hypervolume']['mean']:.3f}"


BLOCKS: Mapping[str, Callable[[], str]] = {"runs": runs, "noise": noise}
"""By their marks."""

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
