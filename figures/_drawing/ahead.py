"""How well the start's own frontier foresaw runs, in numbers: signs, errors, gains (T56, T57)."""

import numpy as np

from covlaw.records.measurements import Records, distinct, having

CLEAR = 0.01
"""Change, in shares of the attainable range, from which on its sign counts."""


def linear(rows: Records) -> Records:
    """Runs with equal fixed weights and no guard."""
    return having(rows, algorithm="linear", guard="none")


def by_world(rows: Records) -> list[tuple[str, Records]]:
    """Rows of each world, in the order of the record."""
    return [(name, having(rows, world=name)) for name in distinct(rows, "world")]


def signs_right(rows: Records, name: str) -> float:
    """Share of the clear changes whose sign was forecast."""
    pairs = [
        change * said > 0
        for r in rows
        for change, said in zip(r["change"], r[name], strict=True)
        if abs(change) > CLEAR
    ]
    return float(np.mean(pairs)) if pairs else float("nan")


def error(rows: Records, name: str) -> float:
    """Mean distance between what was forecast and the change, in the units of the record."""
    gaps = [
        abs(change - (0.0 if name == "none" else r[name][j]))
        for r in rows
        for j, change in enumerate(r["change"])
    ]
    return float(np.mean(gaps))


def gained(rows: Records) -> float:
    """Median share of the weighted sum's attainable gain that a run reached."""
    return float(np.median([r["gain"] / r["gain_ahead"] for r in rows if r["gain_ahead"] > 0]))
