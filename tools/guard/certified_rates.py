"""The block of docs/guard.md about floors by a lower confidence bound."""

from collections.abc import Iterator, Sequence
from textwrap import fill

from guard.noise_tables import table

from covlaw.figures._drawing.render import recorded
from covlaw.records.guard_pairs import Row
from covlaw.records.lines import read_records

SHOWN = ((4, 4), (16, 4), (16, 16), (64, 16))
"""Prompts and completions of the cells in the table, of common rewards and normal scores."""


def certified() -> str:
    """What is left of a fall by floors of 0 and certified ones, and how often bounds are wrong."""
    rows = read_records(recorded("guard-certified") / "guard_certified.jsonl")
    head = ["dimensions", "prompts × completions", *("floors of 0", "certified floors")]
    common = {
        (r["dimensions"], r["prompts"], r["completions"]): r
        for r in rows
        if (r["tail"], r["chance"]) == ("normal", 0.5)
    }
    lines = [
        [str(d), f"{p} × {k}", *(_left(common[d, p, k], name) for name in ("zero", "certified"))]
        for d in dict.fromkeys(r["dimensions"] for r in rows)
        for p, k in SHOWN
    ]
    return table(head, lines) + "\n" + fill(" ".join(_sentences(rows)), 104) + "\n"


def _left(row: Row, name: str) -> str:
    return f"{100 * row[name] / row['n']:.0f} % / {row[f'left {name}']:.2f}"


def _sentences(rows: Sequence[Row]) -> Iterator[str]:
    n = rows[0]["n"]
    kept, fell = (max(row[name] for row in rows) for name in ("kept", "fell"))
    rare = max(rows, key=lambda row: row["judged"] / row["n"])
    common = max(row["judged"] for row in rows if row["chance"] == max(r["chance"] for r in rows))
    yield "On completions that did not choose the step the bounds keep their rate: one that leaves"
    yield f"an objective where it is passes as raised in at most {kept} of {n:,} samples, in"
    yield f"the worst of {len(rows)} cells, and falls for certain in at most {fell} (nominal"
    yield f"{n // 40}). But a reward that does not vary in a sample has an effect and an error of"
    yield f"0, and passes: with rewards of probability {rare['chance']:g} and {rare['prompts']} ×"
    yield f"{rare['completions']} completions {rare['judged']} of {n:,} samples pass a step that"
    yield f"lowers it, with common ones at most {common}."
