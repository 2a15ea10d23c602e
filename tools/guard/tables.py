"""Write the marked blocks of docs/guard.md from the records: from the source tree only.

`python tools/guard/tables.py`, after one of the programs beside it recorded something.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script

from guard.noise_tables import bars, gramians, noise

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


def gramian_runs() -> str:
    """RL runs by the plain Gramian and by the crossed one; nothing where none are recorded."""
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS), "gramian-crossed")
    if not pairs:
        return ""
    head = ["RL runs on `default`", "pairs", "sacrifice", "crossed", "end", "crossed", "volume"]
    lines = [[*head, "crossed"], ["---"] * 8]
    for algorithm in dict.fromkeys(kept["algorithm"] for _, kept in pairs):
        own = [pair for pair in pairs if pair[1]["algorithm"] == algorithm]
        two = list(zip(*own, strict=True))
        lines.append([algorithm, str(len(own)), *_both(two, _lost)])
        lines[-1] += [*_both(two, _ends), *_both(two, _volume)]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


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


BLOCKS: Mapping[str, Callable[[], str]] = {
    **{"runs": runs, "noise": noise, "bars": bars},
    **{"gramians": gramians, "gramian_runs": gramian_runs},
}
"""By their marks."""

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
