"""Who opposes whom, and since when a reward is traded away."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.inspection.mixes import correlation
from covlaw.theory.estimators.sign_certificate import NOMINAL

if TYPE_CHECKING:
    from covlaw.plugins.inspection.inspection import Inspection


class Alarm(NamedTuple):
    """A step by which the law of a reward was certainly negative."""

    step: int
    reward: int
    window: int
    """Logged steps that show it together."""
    since: int
    """First step of the unbroken run of negative estimates that it stands in."""


class Trade(NamedTuple):
    """One reward under the signal, since it has been traded away."""

    reward: int
    since: int | None
    """First step; None: over the whole log."""
    law: float
    """Mean over the groups since then."""
    standard_error: float
    share: float
    """Groups in which the reward opposed the signal, of those in which it said anything."""
    partner: int | None
    """The reward of positive weight that it opposed most; None where none."""
    correlation: float
    """With that one."""


def alarms(inspection: "Inspection") -> list[Alarm]:
    """Every alarm, by step."""
    found, laws = [], inspection.scan.laws
    since: dict[int, int] = {}
    for law in laws:
        for j, (estimate, window) in enumerate(
            zip(law.estimate.tolist(), law.alarm.tolist(), strict=True)
        ):
            if not estimate < 0:
                since.pop(j, None)
                continue
            since.setdefault(j, law.step)
            if window:
                found.append(Alarm(law.step, j, window, since[j]))
    return found


def trades(inspection: "Inspection") -> list[Trade]:
    """Rewards that are traded away, worst first: an alarm, or a certain fall over all steps."""
    scan, raised = inspection.scan, alarms(inspection)
    result = []
    for j in range(len(inspection.log.names)):
        own = [alarm for alarm in raised if alarm.reward == j]
        if own:
            result.append(_trade(inspection, j, own[-1].since))
        elif float(scan.pool.limit(j, scan.law, NOMINAL).high) < 0:
            result.append(_trade(inspection, j, None))
    return sorted(result, key=lambda t: t.law / t.standard_error if t.standard_error > 0 else 0.0)


def _trade(inspection: "Inspection", j: int, since: int | None) -> Trade:
    laws = [law for law in inspection.scan.laws if since is None or law.step >= since]
    groups = torch.tensor([law.groups for law in laws], dtype=torch.float64)
    share = groups / groups.sum()
    estimate, error = (
        torch.nan_to_num(torch.stack([getattr(law, name)[j] for law in laws]), nan=0.0)
        for name in ("estimate", "standard_error")
    )
    sums = [torch.stack([getattr(law, n) for law in laws]).sum(0) for n in ("matrix", "met")]
    with_others = correlation(torch.nan_to_num(sums[0] / sums[1], nan=0.0))[j]
    against = torch.stack([law.against[:, j] for law in laws]).sum(0)
    rival = _partner(with_others, inspection.weights, j)
    return Trade(
        j,
        since,
        float(share @ estimate),
        float((share * error).norm()),
        float(against[0] / against[1].clamp(min=1)),
        rival,
        float("nan") if rival is None else float(with_others[rival]),
    )


def opposed(inspection: "Inspection", tail: float = NOMINAL) -> list[tuple[int, int]]:
    """Pairs of rewards of certainly negative covariance, each wrong with this probability."""
    first, count = inspection.scan.rewards.start, len(inspection.log.names)
    pool = inspection.scan.pool
    return [
        (k, j)
        for j in range(count)
        for k in range(j)
        if float(pool.limit(j, first + k, tail).high) < 0
    ]


def _partner(with_others: Tensor, weights: Tensor, reward: int) -> int | None:
    others = with_others.clone()
    others[reward] = torch.inf
    others[torch.isnan(others) | (weights <= 0)] = torch.inf
    least = int(others.argmin())
    return least if float(others[least]) < 0 else None
