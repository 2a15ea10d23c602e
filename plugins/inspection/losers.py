"""Prompts that lose most: the latest groups in which a reward was most opposed to the signal."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple

from covlaw.plugins.inspection.chunks import pieces, scores
from covlaw.plugins.inspection.conflicts import trades
from covlaw.plugins.inspection.pools import pairs
from covlaw.plugins.inspection.scan import given
from covlaw.plugins.inspection.signals import signal_of

if TYPE_CHECKING:
    from covlaw.plugins.inspection.inspection import Inspection

SHOWN, STEPS = 3, 5
"""Groups at most, and the last steps that they are looked for in."""


class Loser(NamedTuple):
    """One group, and the covariance of a reward with the signal in it."""

    reward: int
    step: int
    prompt: Hashable
    """As the log wrote it."""
    law: float


def losers(found: "Inspection") -> list[Loser]:
    """Groups of the last steps that lower most what is traded away most; else the least law."""
    lost, log = trades(found), found.log
    j = lost[0].reward if lost else int(found.scan.pool.estimate()[:, found.scan.law].argmin())
    groups: list[Loser] = []
    for step, rows in list(log.by_step())[-STEPS:]:
        score = scores(log.rewards[rows], found.weights)
        signal = given(log, rows, found.scan.signal, score)
        for chunk in pieces(log, rows, score, signal):
            own = signal_of(found.scan.signal, chunk, found.weights)[:, None]
            law = pairs(chunk.rewards, chunk.known, own, None, chunk.groups).mean[:, j, 0]
            for number, value in zip(chunk.groups.prompts.tolist(), law.tolist(), strict=True):
                if value < 0:
                    groups.append(Loser(j, step, log.labels[number], value))
    return sorted(groups, key=lambda group: group.law)[:SHOWN]
