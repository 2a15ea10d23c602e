"""One pass over a log: every sum that an inspection is made of."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.inspection.chunks import Chunk, pieces, scores
from covlaw.plugins.inspection.groupings import Tally
from covlaw.plugins.inspection.pools import CLUSTERS, Pool, pairs
from covlaw.plugins.inspection.signals import (
    COLUMN,
    COMPARED,
    WHOLE_STEP,
    chosen,
    compared,
    signal_of,
)
from covlaw.plugins.logs.log import Log
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.weighting import mean_and_error
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.estimators.sign_certificate import NOMINAL

ALARMS = 1 / 20
"""Probability at most that a log in which no law is negative shows any alarm."""
WINDOWS = (1, 2, 4, 8, 16)
"""Trailing steps that an alarm is read from, this one included."""


@dataclass(frozen=True, eq=False)
class StepLaw:
    """What one step's completions say."""

    step: int
    estimate: Tensor
    """(M,) law: E_x Cov_x(r_j, signal)."""
    standard_error: Tensor
    """(M,)."""
    certified: Tensor
    """(M,) bool: its sign, wrong with probability at most `sign_certificate.WRONG`."""
    alarm: Tensor
    """(M,) int: steps of the window that shows a fall; 0: none."""
    mean: Tensor
    """(M,) mean reward."""
    mean_error: Tensor
    groups: int
    rows: int
    matrix: Tensor
    """(M, M) sum of the groups' covariances of the rewards."""
    met: Tensor
    """(M, M) groups in that sum."""
    against: Tensor
    """(2, M) groups in which the reward's law is negative, and in which it is not 0."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Sums over a log."""

    signal: str
    """Name of the signal whose law it is."""
    laws: list[StepLaw]
    pool: Pool
    """Signals: the law's, those of `COMPARED`, the law's by length, then each reward."""
    tally: Tally
    lengths: bool

    @property
    def law(self) -> int:
        """Place of the law's signal in `pool`."""
        return 0

    @property
    def by_length(self) -> int | None:
        """Place of the signal divided by length; None where lengths are unknown."""
        return 1 + len(COMPARED) if self.lengths else None

    @property
    def rewards(self) -> slice:
        """Places of the rewards themselves."""
        return slice(1 + len(COMPARED) + self.lengths, None)


def scan(log: Log, weights: Tensor, advantage: str) -> Scan:
    """Go over a log once.

    Args:
        log: From `read_log`.
        weights: (M,) λ of the score.
        advantage: A name of `signals.SIGNALS`.

    Raises:
        CovlawError: for an unknown signal.
    """
    name = chosen(advantage, log.advantage is not None)
    count = len(log.names)
    lengths = log.length is not None and bool((log.length > 0).all())
    clusters = min(CLUSTERS, len(log.labels))
    pool = Pool(count, 1 + len(COMPARED) + lengths + count, clusters)
    tally = Tally(count, clusters)
    recent: deque[Pool] = deque(maxlen=max(WINDOWS))
    tests = len(log.steps) * count * len(WINDOWS)
    laws: list[StepLaw] = []
    for step, rows in log.by_step():
        own = Pool(count, 1, clusters)
        score = scores(log.rewards[rows], weights)
        signal = given(log, rows, name, score)
        parts = [
            _take(chunk, name, weights, lengths, pool, own, tally)
            for chunk in pieces(log, rows, score, signal)
        ]
        recent.append(own)
        laws.append(_step(step, own, list(recent), ALARMS / tests, parts))
    return Scan(name, laws, pool, tally, lengths)


def given(log: Log, rows: slice, name: str, score: Tensor) -> Tensor | None:
    """The signal, where it does not come from each group alone."""
    if name == COLUMN and log.advantage is not None:
        return log.advantage[rows]
    if name in WHOLE_STEP:
        return NORMALISERS[name](score, group_by_prompt(log.prompt[rows]))
    return None


class _Part(NamedTuple):
    """What a step keeps of a piece."""

    rows: int
    means: Tensor
    """(G, M) mean rewards, NaN where unknown."""
    matrix: Tensor
    met: Tensor
    against: Tensor


def _take(
    chunk: Chunk, name: str, weights: Tensor, lengths: bool, pool: Pool, own: Pool, tally: Tally
) -> _Part:
    """Add a piece to every sum, and return what its step keeps of it."""
    signal, known, prompts = signal_of(name, chunk, weights), chunk.known, chunk.groups.prompts
    columns = [signal, *compared(chunk, weights)]
    if lengths and chunk.length is not None:
        columns.append(signal / chunk.length)
    signals = torch.stack(columns, 1)
    found = pairs(chunk.rewards, known, signals, None, chunk.groups)
    cross = pairs(chunk.rewards, known, chunk.rewards, known, chunk.groups)
    law = found._replace(**{n: getattr(found, n)[..., :1] for n in found._fields})
    own.add(law, prompts)
    everything = found._replace(
        **{n: torch.cat([getattr(x, n) for x in (found, cross)], -1) for n in found._fields}
    )
    pool.add(everything, prompts)
    tally.add(chunk, law, prompts, signal)
    counts = chunk.groups.counts[:, None] if known is None else chunk.groups.sum(known.double())
    valid, sign = law.counts[..., 0] > 1, law.mean[..., 0]
    against = torch.stack([((sign < 0) & valid).sum(0), ((sign != 0) & valid).sum(0)])
    met = (cross.counts > 1).to(cross.mean)
    means = chunk.groups.sum(chunk.rewards) / counts
    return _Part(len(signal), means, (met * cross.mean).sum(0), met.sum(0), against)


def _step(step: int, own: Pool, recent: list[Pool], tail: float, parts: list[_Part]) -> StepLaw:
    values = torch.cat([part.means for part in parts])
    level, error = (torch.full_like(values[0], torch.nan) for _ in range(2))
    for j, column in enumerate(values.T):
        there = column[~torch.isnan(column)]
        if len(there):
            share = torch.full_like(there, 1 / len(there))
            level[j], error[j] = (x[0] for x in mean_and_error(there[:, None], share))
    estimate, decided = own.estimate()[:, 0], own.limits(NOMINAL).decided[:, 0]
    return StepLaw(
        step,
        estimate,
        own.standard_error()[:, 0],
        decided,
        _alarm(estimate, recent, tail),
        level,
        error,
        len(values),
        sum(part.rows for part in parts),
        *(torch.stack(sums).sum(0) for sums in list(zip(*parts, strict=True))[2:]),
    )


def _alarm(estimate: Tensor, recent: list[Pool], tail: float) -> Tensor:
    """Shortest window that shows a fall, where this step points down too; 0: none.

    It is below 0 by Student's quantile at `tail`, over all tests of the log together, and its sign
    is certified as well, which rare completions that were not drawn could not have turned.
    """
    alarm = torch.zeros(len(estimate), dtype=torch.int64)
    for width in (w for w in WINDOWS if w <= len(recent)):
        pool = recent[-1] if width == 1 else _together(recent[-width:])
        for j in ((estimate < 0) & (alarm == 0)).nonzero()[:, 0].tolist():
            if float(pool.limit(j, 0, NOMINAL).high) < 0:
                means = pool.means(j, 0)
                if float(means.estimate()[0] + means.margin(tail)[0]) < 0:
                    alarm[j] = width
    return alarm


def _together(pools: list[Pool]) -> Pool:
    clusters, rewards, signals = pools[0].mean.shape
    total = Pool(rewards, signals, clusters)
    for pool in pools:
        total.merge(pool)
    return total
