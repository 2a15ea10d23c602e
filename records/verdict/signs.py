"""Signs of forecasts against those of what happened; alarms; the changes that would be seen."""

from collections.abc import Sequence
from statistics import NormalDist, median
from typing import NamedTuple

import torch

from covlaw.records.alarms import judge_alarms
from covlaw.records.constants import CERTAIN, POWER
from covlaw.records.verdict.rows import Estimate, Pair


class Signs(NamedTuple):
    """How often a forecast had the sign of what happened."""

    agree: int
    of: int
    """Pairs in which neither is 0."""
    expected: float
    """Agreements to be expected of a right forecast, both having errors."""
    agree_certified: int
    certified: int
    """Of those, pairs whose forecast is certified (T21)."""
    expected_certified: float
    agree_clear: int
    clear: int
    """Pairs whose forecast and outcome both stand out of the noise."""


class Alarms(NamedTuple):
    """Falls forecast beyond 3 standard errors, against the measured change of that step.

    A plain rule, which keeps no stated error rate (`records.alarms.certified_fall`).
    """

    alarms: int
    confirmed: int
    """The measured change is a clear fall."""
    false: int
    """It is a clear rise."""
    undecided: int
    """It does not stand out of its noise."""
    falls: int
    """Clear falls measured."""
    missed: int
    """Those without an alarm."""


class Pairs(NamedTuple):
    """Which audited changes could be compared with a prediction."""

    of: int
    compared: int
    dropped: int
    """Nothing varied on one side, e.g. no fresh completion differed: no error, and no sign."""


class Power(NamedTuple):
    """How large a change in one step has to be, in units of the objective, to be seen.

    By the plain rule of 3 standard errors; what is certified asks for more (`certified`).
    """

    certified_from: float
    """3 standard errors, the median over audits."""
    seen_from: float
    """A true change of this size is forecast beyond them four times in five."""
    certified: int
    """Audits that certified their forecast's sign (T21), by their own rule where recorded."""
    of: int


def signs(pairs: Sequence[Pair], forecast: str) -> Signs:
    """Compare the signs of a forecast and of what happened.

    With a flat prior the outcome m given a right forecast f is N(f, se_f² + se_m²), so that the
    signs agree with probability Φ(|f|/√(se_f² + se_m²)): noise alone makes some disagree.
    """
    both = [(p.forecasts[forecast], p.realised) for p in pairs]
    both = [(f, m) for f, m in both if f.measured and m.measured and f.value * m.value != 0]
    certain = [(f, m) for f, m in both if f.certified]
    clear = [(f, m) for f, m in both if f.clear and m.clear]
    return Signs(
        *(_agreements(both), len(both), sum(map(_chance, both))),
        *(_agreements(certain), len(certain), sum(map(_chance, certain))),
        *(_agreements(clear), len(clear)),
    )


def alarms(pairs: Sequence[Pair], forecast: str) -> Alarms:
    """Judge the alarms of a forecast; a fall is clear beyond 2 standard errors."""
    kept = [p for p in pairs if p.forecasts[forecast].measured and p.realised.error < float("inf")]
    if not kept:
        return Alarms(0, 0, 0, 0, 0, 0)
    value, error = _columns([p.forecasts[forecast] for p in kept])
    change, noise = _columns([p.realised for p in kept])
    down, up = (judge_alarms(value, error, sign * change, noise) for sign in (1, -1))
    given, hits, wrong, falls = (int(c[0]) for c in (down.alarms, down.hits, up.hits, down.falls))
    return Alarms(given, hits, wrong, given - hits - wrong, falls, falls - hits)


def power(pairs: Sequence[Pair], forecast: str) -> Power:
    """Say what size of change a forecast could show; NaN where it was never measured."""
    found = [p.forecasts[forecast] for p in pairs if p.forecasts[forecast].measured]
    error = median(f.error for f in found) if found else float("nan")
    beyond = CERTAIN + NormalDist().inv_cdf(POWER)
    return Power(CERTAIN * error, beyond * error, sum(f.certified for f in found), len(found))


def precision(pairs: Sequence[Pair], name: str) -> float:
    """Median standard error of a prediction or of the baseline; NaN where it was never measured."""
    found = [p.of(name).error for p in pairs if p.of(name).measured]
    return median(found) if found else float("nan")


def compared(pairs: Sequence[Pair], forecast: str) -> Pairs:
    """Count the pairs that signs can be read from, and those that drop out."""
    both = [(p.forecasts[forecast], p.realised) for p in pairs]
    kept = sum(f.measured and m.measured and f.value * m.value != 0 for f, m in both)
    return Pairs(len(both), kept, len(both) - kept)


def _agreements(both: Sequence[tuple[Estimate, Estimate]]) -> int:
    return sum(f.value * m.value > 0 for f, m in both)


def _chance(pair: tuple[Estimate, Estimate]) -> float:
    f, m = pair
    return NormalDist().cdf(abs(f.value) / (f.error**2 + m.error**2) ** 0.5)


def _columns(estimates: Sequence[Estimate]) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and errors, (n, 1) each."""
    columns = torch.tensor([estimate[:2] for estimate in estimates], dtype=torch.float64)
    return columns[:, :1], columns[:, 1:]
