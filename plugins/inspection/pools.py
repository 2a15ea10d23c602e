"""Sums from which covariances, their errors and limits follow, without the completions."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.weighting import mean_and_error
from covlaw.theory.estimators.intervals import Limits, Push, known_where, push, signal_limits
from covlaw.theory.estimators.prompt_means import PromptMeans

CLUSTERS = 2048
"""At most so many clusters of prompts: where there are more prompts, several share one, which
leaves the error clustered by prompt as right as it was and the memory bounded."""


class Pairs(NamedTuple):
    """Products of deviations of each reward and signal, group by group; K known completions."""

    counts: Tensor
    """(G, M, Q) completions that know both."""
    mean: Tensor
    """(G, M, Q) Ĉ of the group, with K − 1."""
    square: Tensor
    """(G, M, Q) mean square of the products."""
    extremes: Tensor
    """(4, M, Q): largest and least deviation of the reward, and of the signal."""


def pairs(
    rewards: Tensor, known: Tensor | None, signals: Tensor, heard: Tensor | None, groups: Groups
) -> Pairs:
    """Compare (n, M) rewards with (n, Q) signals; `known`, `heard`: where they are, None: all."""
    if known is None and heard is None:
        count = groups.counts.to(rewards)[:, None, None]
        reward = _deviations(rewards[:, :, None], None, count, groups)
        signal = _deviations(signals[:, None, :], None, count, groups)
    else:
        here = torch.ones_like(rewards) if known is None else known.to(rewards)
        there = torch.ones_like(signals) if heard is None else heard.to(rewards)
        both = here[:, :, None] * there[:, None, :]
        count = groups.sum(both)
        reward = _deviations(rewards[:, :, None], both, count, groups)
        signal = _deviations(signals[:, None, :], both, count, groups)
    bessel = groups.spread(count / (count - 1).clamp(min=1))
    reward = bessel * reward
    product = reward * signal
    signal = bessel * signal
    size = product.shape[1:]
    ends = [x.expand(-1, *size) for x in (reward.amax(0)[None], reward.amin(0)[None])]
    ends += [x.expand(-1, *size) for x in (signal.amax(0)[None], signal.amin(0)[None])]
    total = count.clamp(min=1)
    mean, square = groups.sum(product) / total, groups.sum(product.square()) / total
    return Pairs(count.expand_as(mean), mean, square, torch.cat(ends))


def _deviations(values: Tensor, both: Tensor | None, count: Tensor, groups: Groups) -> Tensor:
    weighted = values if both is None else values * both
    centred = values - groups.spread(groups.sum(weighted) / count.clamp(min=1))
    return centred if both is None else centred * both


class Pool:
    """Running sums of `Pairs` by cluster of prompts."""

    def __init__(self, rewards: int, signals: int, clusters: int) -> None:
        shape = (clusters, rewards, signals)
        self.mean, self.square, self.rows, self.groups = (
            torch.zeros(shape, dtype=torch.float64) for _ in range(4)
        )
        self.extremes = torch.zeros(4, rewards, signals, dtype=torch.float64)

    def add(self, found: Pairs, prompt: Tensor) -> None:
        """Add groups of these prompts; those with fewer than two known completions say nothing."""
        cluster, valid = prompt % len(self.mean), (found.counts > 1).to(found.mean)
        for total, part in (
            (self.mean, found.mean),
            (self.square, found.square),
            (self.rows, found.counts),
            (self.groups, torch.ones_like(found.mean)),
        ):
            total.index_add_(0, cluster, part * valid)
        self._widen(found.extremes)

    def merge(self, other: "Pool") -> None:
        """Add what another pool holds."""
        for name in ("mean", "square", "rows", "groups"):
            getattr(self, name).add_(getattr(other, name))
        self._widen(other.extremes)

    def _widen(self, extremes: Tensor) -> None:
        for k, widest in enumerate((torch.maximum, torch.minimum) * 2):
            self.extremes[k] = widest(self.extremes[k], extremes[k])

    def estimate(self) -> Tensor:
        """(M, Q) mean over groups; NaN where there was none."""
        return self.mean.sum(0) / self.groups.sum(0)

    def standard_error(self) -> Tensor:
        """(M, Q) clustered by prompt; NaN for a single one."""
        return self._each(lambda means: mean_and_error(means.mean, means.weight)[1])

    def limits(self, tail: float) -> Limits:
        """Confidence limits (M, Q), each wrong with probability `tail` (`intervals`)."""
        rows, columns = self.extremes.shape[1:]
        ends = torch.empty(2, rows, columns, dtype=torch.float64)
        for j in range(rows):
            for q in range(columns):
                ends[:, j, q] = torch.stack(self.limit(j, q, tail)).reshape(2)
        return Limits(*ends)

    def limit(self, j: int, q: int, tail: float) -> Limits:
        """Confidence limits of one pair, (1,) each."""
        unseen = self._push(j, q)
        if not bool(self.groups[:, j, q].any()):
            unknown = torch.tensor([torch.inf], dtype=torch.float64)
            return Limits(-unknown, unknown)
        return known_where(unseen.up > 0, signal_limits(self.means(j, q), unseen, tail))

    def means(self, j: int, q: int) -> PromptMeans:
        """One pair's means by cluster."""
        return cluster_means(
            *(x[:, j, q] for x in (self.mean, self.square, self.rows, self.groups))
        )

    def _push(self, j: int, q: int) -> Push:
        reward, signal = self.extremes[:2, j, q, None], self.extremes[2:, j, q, None]
        return push(reward, signal)

    def _each(self, of: Callable[[PromptMeans], Tensor]) -> Tensor:
        rows, columns = self.extremes.shape[1:]
        result = torch.full((rows, columns), torch.nan, dtype=torch.float64)
        for j in range(rows):
            for q in range(columns):
                if bool(self.groups[:, j, q].any()):
                    result[j, q] = of(self.means(j, q))[0]
        return result


def cluster_means(mean: Tensor, square: Tensor, rows: Tensor, groups: Tensor) -> PromptMeans:
    """`PromptMeans` of one column from sums over each cluster's groups, (B,) each."""
    there = groups > 0
    number = groups[there]
    total = number.sum()
    column = (mean[there] / number)[:, None]
    return PromptMeans(column, (square[there] / number)[:, None], rows[there], number / total)
