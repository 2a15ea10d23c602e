"""How hard a ladder's verdicts were tested, rung by rung."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, NamedTuple

from covlaw.records.outcomes import by_rung, outcome


class RungPower(NamedTuple):
    """What the verdicts of one rung rest on; identities of the estimator are left out."""

    statements: int
    """That compared something."""
    comparisons: int
    """Of two sides, in all."""
    controls: int
    """False variants put to the same test."""
    refuted: int
    """Those that failed it, as they must."""
    noticed: float | None
    """Median over statements of tolerance/|side|: the relative departure at the comparison with
    the least slack that would have been noticed. None where no side differs from 0."""


def power_by_rung(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, RungPower]:
    """Rung → what its verdicts rest on."""
    own = [v for v in verdicts if v["n"] and outcome(v) != "estimator"]
    return {rung: _power([v for v in own if v["rung"] == rung]) for rung in by_rung(own)}


def _power(verdicts: list[Mapping[str, Any]]) -> RungPower:
    controls = [v["negative_control"]["refuted"] for v in verdicts if v["negative_control"]]
    shares = [share for v in verdicts if (share := _noticed(v)) is not None]
    return RungPower(
        len(verdicts),
        sum(v["n"] for v in verdicts),
        len(controls),
        sum(controls),
        median(shares) if shares else None,
    )


def _noticed(verdict: Mapping[str, Any]) -> float | None:
    sides = [abs(verdict[side]) for side in ("measured", "predicted") if verdict[side] is not None]
    size, tolerance = max(sides, default=0.0), verdict["tolerance"]
    return tolerance / size if size > 0 and tolerance is not None else None
