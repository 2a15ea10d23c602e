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

from guard.bars import bars
from guard.certified_rates import certified
from guard.noise_tables import gramians, noise, others, rivals, table

from covlaw.figures._drawing.render import recorded
from covlaw.ladder.study.guard_plan import ON_LLM
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
    groups = _grouped(pairs, lambda row: f"`{row['base']}`, {row['algorithm']}")
    return (
        _in_pairs("base, algorithm", "guarded", groups)
        + "\n"
        + fill(" ".join(_sentences(pairs)), 104)
        + "\n"
    )


def gramian_runs() -> str:
    """RL runs by the plain Gramian and by the crossed one; nothing where none are recorded."""
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS), "gramian-crossed")
    groups = _grouped(pairs, lambda row: str(row["algorithm"]))
    return "\n" + _in_pairs("RL runs on `default`", "crossed", groups) if pairs else ""


def variants() -> str:
    """The guard's own variants in RL runs of linear weights on the default base."""
    groups: dict[str, list[Row]] = {name: [] for name in ON_LLM}
    for row in read_records(recorded("guard-llm") / PAIRS):
        if (row["base"], row["algorithm"]) == ("default", "linear"):
            groups[row["guard"]].append(row)
    lines = [
        [
            *("none" if name == "none" else f"`{name}`", str(len(own)), _lost(own), _ends(own)),
            *(_volume(own), f"{np.median([row.get('seconds_share', 0) for row in own]):.0%}"),
        ]
        for name, own in groups.items()
    ]
    head = ["linear on `default`", "runs", "sacrifice", "end", "volume", "share of the seconds"]
    return table(head, lines)


def _grouped(pairs: Sequence[Pair], name: Callable[[Row], str]) -> Mapping[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for bare, kept in pairs:
        groups.setdefault(name(kept), []).append((bare, kept))
    return groups


def _in_pairs(first: str, second: str, groups: Mapping[str, list[Pair]]) -> str:
    """A line a group: how many pairs, and of both sides losers, ends and volume."""
    head = [first, "pairs", *(w for name in ("sacrifice", "end", "volume") for w in (name, second))]
    lines = []
    for name, own in groups.items():
        sides = list(zip(*own, strict=True))
        lines.append([name, str(len(own))])
        lines[-1] += [show(side) for show in (_lost, _ends, _volume) for side in sides]
    return table(head, lines)


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


def _lost(rows: Sequence[Row]) -> str:
    return str(sum(any(row["sacrificed"]) for row in rows))


def _ends(rows: Sequence[Row]) -> str:
    return " / ".join(f"{mean:.2f}" for mean in np.mean([row["end"] for row in rows], 0))


def _volume(rows: Sequence[Row]) -> str:
    return f"{np.mean([row['hypervolume'] for row in rows]):.3f}"


BLOCKS: Mapping[str, Callable[[], str]] = {
    **{"runs": runs, "noise": noise, "bars": bars},
    **{"gramians": gramians, "gramian_runs": gramian_runs, "rivals": rivals},
    **{"others": others, "variants": variants, "certified": certified},
}
"""By their marks."""

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
