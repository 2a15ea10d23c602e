"""Write the tables of docs/limits.md from the recorded measurements: from the source tree only.

`python tools/limits_tables.py`
"""

from pathlib import Path
from typing import Any

from scipy.stats import beta

from covlaw.figures._drawing.render import recorded
from covlaw.records.lines import read_records

PAGE = Path(__file__).parents[1] / "docs" / "limits.md"
BEGIN, END = "<!-- tables: tools/limits_tables.py -->\n", "<!-- end of tables -->\n"
POWER = (
    ("exact_change", "lognormal, sd of log 0.1", "reward 0.5, tilt 0.3"),
    ("exact_change", "lognormal, sd of log 1.5", "reward 0.5, tilt 0.3"),
    ("exact_change", "lognormal, sd of log 0.1", "reward 0.02, tilt 0.3"),
    ("law", "normal score", "reward 0.5, tilt 0.3"),
)
"""Cells whose certified share is shown: a reward's latent correlates .3 with the log-ratio."""

Records = list[dict[str, Any]]


def page(text: str) -> str:
    """Replace what stands between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + tables() + END + after


def tables() -> str:
    """Certificates, power, coverage and slopes, as Markdown."""
    cells = read_records(recorded() / "certificates.jsonl")
    slopes = read_records(recorded() / "slopes.jsonl")
    return "\n".join([_rates(cells), _power(cells), _coverage(cells), _slopes(slopes)])


def _rates(cells: Records) -> str:
    rows = []
    for quantity in ("exact_change", "law"):
        own = [r for r in cells if r["quantity"] == quantity]
        for zero, name in ((False, "wrong signs"), (True, "true zeros certified")):
            kept = [r for r in own if (r["truth"] == 0) == zero]
            worst = max(kept, key=lambda r: r["wrong"] / r["n"])
            plain = max(r["plain_wrong"] / r["n"] for r in kept)
            bound = beta.ppf(0.975, worst["wrong"] + 1, worst["n"] - worst["wrong"])
            found = (f"{len(kept)}", f"{worst['wrong']} of {worst['n']}", f"{100 * bound:.2f} %")
            rows.append((quantity, name, *found, f"{100 * plain:.1f} %"))
    head = ("of", "error", "cells", "worst cell", "97.5 % bound on it", "3 standard errors, worst")
    return _table(head, rows)


def _power(cells: Records) -> str:
    rows = []
    for shape in _shapes(cells):
        found = {(r["quantity"], r["family"], r["reward"]): r for r in _of(cells, shape)}
        shares = (found[key]["certified"] / found[key]["n"] for key in POWER)
        rows.append((*map(str, shape), *(f"{100 * x:.0f} %" for x in shares)))
    head = ("prompts", "completions", *(f"{q}, {f}, {r}" for q, f, r in POWER))
    return _table(head, rows)


def _coverage(cells: Records) -> str:
    rows = []
    for shape in _shapes(cells):
        row = [*map(str, shape)]
        for quantity in ("exact_change", "law", "measured"):
            own = [r for r in _of(cells, shape) if r["quantity"] == quantity]
            least, plain = (min(r[k] / r["n"] for r in own) for k in ("covered", "plain_covered"))
            unbounded = max(r["unbounded"] / r["n"] for r in own)
            row.append(f"{least:.3f} ({plain:.2f}; {unbounded:.2f})")
        rows.append(tuple(row))
    return _table(("prompts", "completions", "exact_change", "law", "measured"), rows)


def _slopes(records: Records) -> str:
    rows = [
        (
            r["errors"],
            f"{r['spread']:g}",
            r["correlation"],
            r["weights"],
            f"{r['slope']:.3f} ± {r['slope_se']:.3f}",
            f"{r['covered']} of {r['n']}",
        )
        for r in records
    ]
    head = ("errors", "spread between prompts", "their correlation", "weights")
    return "\n### Slopes\n" + _table((*head, "mean slope", "intervals holding 1"), rows)


def _shapes(cells: Records) -> list[tuple[int, int]]:
    return sorted({(r["prompts"], r["completions"]) for r in cells})


def _of(cells: Records, shape: tuple[int, int]) -> Records:
    return [r for r in cells if (r["prompts"], r["completions"]) == shape]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
