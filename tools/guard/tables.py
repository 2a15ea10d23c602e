"""Write the marked blocks of docs/guard.md from the records: from the source tree only.

`python tools/guard/tables.py`, after `tools/guard/runs.py` or `tools/guard/noise.py` recorded.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from covlaw.figures._drawing.render import recorded
from covlaw.records.guard_pairs import PAIRS, Pair, Row, named, pairs_of
from covlaw.records.lines import read_records

PAGE = Path(__file__).parents[2] / "docs" / "guard.md"
BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", re.DOTALL)


def page(text: str) -> str:
    """Replace what stands between the marks."""
    return BLOCK.sub(
        lambda found: f"<!-- {found[1]} -->\n{BLOCKS[found[1]]()}<!-- /{found[1]} -->", text
    )


def runs() -> str:
    """RL runs in pairs: ends, who was sacrificed, and whether μ names them."""
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS))
    head = ["base, algorithm", "pairs", "sacrifice", "guarded", "end", "guarded", "volume"]
    lines = [[*head, "guarded"], ["---"] * 8]
    groups: dict[tuple[str, str], list[Pair]] = {}
    for bare, kept in pairs:
        groups.setdefault((kept["base"], kept["algorithm"]), []).append((bare, kept))
    for (base, algorithm), own in groups.items():
        two = list(zip(*own, strict=True))
        lines.append([f"`{base}`, {algorithm}", str(len(own)), *_both(two, _lost)])
        lines[-1] += [*_both(two, _ends), *_both(two, _volume)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "\n" + fill(" ".join(_sentences(pairs)), 104) + "\n"


def _sentences(pairs: Sequence[Pair]) -> list[str]:
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
    rows = read_records(recorded("guard-noise") / "guard_noise.jsonl")
    [bare] = [row for row in rows if row["guard"] == "none"]
    kept = [row for row in rows if row["guard"] != "none"]
    counts = sorted({row["samples"] for row in kept}, key=lambda k: k or np.inf)
    head = ["guard", *(f"K = {k}" if k else "exact" for k in counts)]
    lines = [head, ["---"] * len(head), ["none", *([_share(bare)] * len(counts))]]
    for guard in dict.fromkeys(row["guard"] for row in kept):
        cells = {row["samples"]: _share(row) for row in kept if row["guard"] == guard}
        lines.append([f"`{guard}`", *(cells.get(k, "–") for k in counts)])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "\n" + fill(" ".join(_apart(kept)), 104) + "\n"


def _apart(kept: Sequence[Row]) -> list[str]:
    """Guarded less unguarded, in pairs."""
    less = [row["less none"] for row in kept]
    closest = max(own["sacrifices"]["high"] for own in less)
    least = min(own["hypervolume"]["low"] for own in less)
    alone, pairs = (sum(own["only guarded"] for own in less), sum(row["runs"] for row in kept))
    return [
        f"In pairs, in every cell: at least {-100 * closest:.0f} percentage points fewer sacrifice",
        f"than unguarded and the volume is at least {least:.3f} larger (ends of intervals). In",
        f"{alone} of {pairs} pairs the guarded run sacrifices an objective and its twin none.",
    ]


def _share(row: Row) -> str:
    lost = row["sacrifices"]
    half = 50 * (lost["high"] - lost["low"])
    return f"{100 * lost['mean']:.0f} ± {half:.0f} / {row['hypervolume']['mean']:.3f}"


BLOCKS: Mapping[str, Callable[[], str]] = {"runs": runs, "noise": noise}
"""By their marks."""

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
