"""`inspect_log`: the verdict on a rollout log, and every number behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from covlaw.plugins.inspection.ahead import Ahead, Vertex, base, front, look_ahead
from covlaw.plugins.inspection.falls import Fall, falls
from covlaw.plugins.inspection.mixes import Mix, Rising, correlation, covariance, mix_of, rising
from covlaw.plugins.inspection.plain import as_dict
from covlaw.plugins.inspection.scan import Scan, scan
from covlaw.plugins.inspection.signals import as_weights
from covlaw.plugins.inspection.targets import Needed, Room, needed_for, room_for
from covlaw.plugins.inspection.words import headline
from covlaw.plugins.logs.log import Log


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a log says of its rewards."""

    log: Log
    weights: Tensor
    """(M,) λ of the score."""
    given: bool
    """Whether the weights were given; else all are 1."""
    scan: Scan
    covariance: Tensor
    """(M, M) mean within-prompt covariance of the rewards, all steps pooled."""
    correlation: Tensor
    mix: Mix
    """The bare law under the given weights."""
    rising: Rising
    falls: list[Fall]
    ahead: Ahead | None
    """Along the weights, from the last steps; None where groups are too small."""
    front: list[Vertex]
    """Of two or three rewards."""
    room: Room | None = None
    """For targets, where they were given."""
    needed: Needed | None = None
    """Group sizes for a precision, where one was given."""

    @property
    def headline(self) -> list[str]:
        """The verdict in sentences, the most important one first."""
        return headline(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists and numbers: what `covlaw inspect --json` writes."""
        return as_dict(self)


def inspect_log(
    log: Log,
    weights: Sequence[float] | None = None,
    advantage: str = "auto",
    *,
    targets: Sequence[float] | None = None,
    precision: float | None = None,
) -> Inspection:
    """Say who is being traded away in a run, since when, how surely, and what would change it.

    The law of a reward is its mean within-prompt covariance with the signal that the policy was
    trained on (T1): the logged advantage, or else a normalised weighted sum. Standard errors are
    clustered by prompt. An alarm is a window of steps whose law is negative; a log in which no law
    is shows any with probability at most `scan.ALARMS`. A log cannot tell what an optimiser makes
    of its signal: only the bare law is visible here.

    Args:
        log: From `read_log`.
        weights: (M,) of the rewards in the score, in the order of `log.names`; None: all 1.
        advantage: "auto" (the log's column if it has one, else "dr_grpo"), "column", "gdpo", or a
            name of `NORMALISERS`.
        targets: (M,) least covariances with the group-std advantage, in units of reward: is there
            room for them (T36)?
        precision: Standard error that one step's law is to have: how large must groups be (T21)?

    Raises:
        CovlawError: for weights or targets that do not fit, an unknown advantage, or "column"
            without one.
    """
    ours = as_weights(weights, log.names)
    found = scan(log, ours, advantage)
    matrix = covariance(found)
    start = base(log)
    moves = start is not None and bool((start.rewards @ ours).std() > 0)
    return Inspection(
        log,
        ours,
        weights is not None,
        found,
        matrix,
        correlation(matrix),
        mix_of(found, ours),
        rising(found),
        falls(found),
        look_ahead(start, ours) if start is not None and moves else None,
        front(start) if start is not None else [],
        None if targets is None else room_for(start, targets, log.names),
        None if precision is None else needed_for(found.tally, precision, len(log.steps)),
    )
