"""What groups lack: dead ones, ties, what filters would do, and how large groups should be."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.inspection.chunks import Chunk
from covlaw.plugins.inspection.pools import Pairs
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import mean_and_error

SMALLEST = 4
"""Completions of a group from which fourth moments can be told without bias."""


class GroupSize(NamedTuple):
    """Completions a prompt, now and at the best for a fixed budget (T21); (M,) each."""

    now: float
    best: Tensor
    """K* = 1 + √(E[σ_r²σ_s² + C_x²]/Var_x(C_x)); inf where prompts do not differ for certain."""


class Tally:
    """Running counts of groups."""

    def __init__(self, rewards: int, clusters: int) -> None:
        self.groups = self.rows = self.dead_score = 0
        self.smallest, self.largest = 2**62, 0
        self.dead, self.judged = (torch.zeros(rewards, dtype=torch.float64) for _ in range(2))
        self.tied = self.couples = 0.0
        self.filtered, self.kept = (
            torch.zeros(clusters, rewards, rewards, dtype=torch.float64) for _ in range(2)
        )
        self.moments = torch.zeros(6, rewards, dtype=torch.float64)
        self.least = torch.full((rewards,), torch.inf, dtype=torch.float64)

    def add(self, chunk: Chunk, law: Pairs, prompt: Tensor, signal: Tensor) -> None:
        """Add a piece, with the law of its groups."""
        groups = chunk.groups
        alive = self._count(chunk, groups)
        self._ties(chunk.score, groups)
        cluster, valid = prompt % len(self.kept), law.counts[..., 0] > 1
        known = chunk.known
        seen = chunk.rewards if known is None else torch.where(known, chunk.rewards, torch.inf)
        self.least = torch.minimum(self.least, seen.amin(0))
        kept = (alive[:, :, None] & valid[:, None, :]).to(law.mean)  # (G, filter, reward)
        self.filtered.index_add_(0, cluster, kept * law.mean[:, None, :, 0])
        self.kept.index_add_(0, cluster, kept)
        self._moments(chunk, law, signal)

    def _count(self, chunk: Chunk, groups: Groups) -> Tensor:
        """Groups (G, M) in which a reward varies."""
        if chunk.known is None:
            span, known = (
                groups.span(chunk.rewards),
                groups.counts[:, None].expand(-1, len(self.dead)),
            )
        else:
            here = [torch.where(chunk.known, chunk.rewards, x) for x in (-torch.inf, torch.inf)]
            span = _extreme(here[0], groups, "amax") - _extreme(here[1], groups, "amin")
            known = groups.sum(chunk.known.long())
        alive, judged = span > 0, known > 1
        self.dead += (judged & ~alive).sum(0)
        self.judged += judged.sum(0)
        noise = rounding(float(chunk.score.abs().max()), 4 * chunk.rewards.shape[1])
        self.dead_score += int((groups.span(chunk.score) <= noise).sum())
        self.groups += len(groups.counts)
        self.rows += len(chunk.score)
        self.smallest = min(self.smallest, int(groups.counts.min()))
        self.largest = max(self.largest, int(groups.counts.max()))
        return alive & judged

    def _ties(self, score: Tensor, groups: Groups) -> None:
        """Pairs of completions of one prompt, and those of equal score."""
        order = torch.argsort(score, stable=True)
        order = order[torch.argsort(groups.position[order], stable=True)]
        keys = torch.stack([groups.position[order].to(score), score[order]], 1)
        new = (keys[1:] != keys[:-1]).any(1)
        run = torch.cat([new.new_zeros(1), new]).long().cumsum(0)
        sizes = torch.bincount(run).double()
        self.tied += float((sizes * (sizes - 1)).sum())
        counts = groups.counts.double()
        self.couples += float((counts * (counts - 1)).sum())

    def _moments(self, chunk: Chunk, law: Pairs, signal: Tensor) -> None:
        """Sums for T21, of groups of four or more in which a reward is known throughout."""
        groups = chunk.groups
        count = groups.counts.to(signal)[:, None]
        whole = (law.counts[..., 0] == count) & (count >= SMALLEST)
        share = groups.share(None)
        squares = groups.sum(share[:, None] * groups.centre(chunk.rewards, share).square())
        spread = groups.sum(share * groups.centre(signal, share).square())[:, None]
        own = law.mean[..., 0]
        mixed = law.square[..., 0] * ((count - 1) / count).square()
        within, product = unbiased(count, mixed, own, squares, spread)
        noise = within / count + product / (count * (count - 1))
        sums = (torch.ones_like(own), own, own.square(), product, noise, within)
        for k, part in enumerate(sums):
            self.moments[k] += torch.where(whole, part, 0.0).sum(0)

    def group_size(self) -> GroupSize:
        """Completions a prompt now, and the best for a fixed budget."""
        between, _, product = self.variances()
        best = 1 + (product / between).sqrt()
        return GroupSize(self.rows / max(self.groups, 1), best)

    def variances(self) -> tuple[Tensor, Tensor, Tensor]:
        """T21's Var_x(C_x), E(μ₂₂ − C²) and E(σ_r²σ_s² + C²), (M,) each."""
        number, total, squares, product, noise, within = self.moments
        between = squares / number - (total / number).square() - noise / number
        parts = (between, within / number, product / number)
        return tuple(part.clamp(min=0) for part in parts)

    def filter_law(self, by: int, reward: int) -> tuple[float, float]:
        """Law of one reward over the groups in which reward `by` varies, with its error."""
        mean, kept = self.filtered[:, by, reward], self.kept[:, by, reward]
        there = kept > 0
        if not bool(there.any()):
            return float("nan"), float("nan")
        share = kept[there] / kept[there].sum()
        estimate, error = mean_and_error((mean[there] / kept[there])[:, None], share)
        return float(estimate[0]), float(error[0])


def unbiased(
    count: Tensor, mixed: Tensor, own: Tensor, squares: Tensor, spread: Tensor
) -> tuple[Tensor, Tensor]:
    """μ₂₂ − C² and σ_r²σ_s² + C² of a group without bias, from its centred sums; K ≥ 4.

    With n completions and S_ab = Σ(r − r̄)^a(s − s̄)^b the expectations of S_22·n²/(n − 1),
    S_11²·n/(n − 1) and S_20·S_02·n/(n − 1) are linear in μ₂₂, σ_r²σ_s² and C².

    Args:
        count: (G, 1) n.
        mixed: (G, M) S_22/n.
        own: (G, M) S_11/(n − 1).
        squares: (G, M) S_20/n.
        spread: (G, 1) S_02/n.
    """
    n = count.clamp(min=SMALLEST)
    sums = torch.stack(
        [mixed * n**3 / (n - 1), own.square() * (n - 1) * n, squares * spread * n**3 / (n - 1)], -1
    )
    sizes, place = torch.unique(n[:, 0], return_inverse=True)
    k, one = sizes - 1, torch.ones_like(sizes)
    rows = [
        [k * k - k + one, 2 * k - 1, 4 * k - 2],
        [k, one, k * k + 1],
        [k, k * k, 2 * one],
    ]
    inverse = torch.linalg.inv(torch.stack([torch.stack(row, -1) for row in rows], -2))
    fourth, spreads, square = torch.einsum("gij,gmj->igm", inverse[place], sums)
    return fourth - square, spreads + square


def _extreme(values: Tensor, groups: Groups, how: str) -> Tensor:
    index = groups.position[:, None].expand_as(values)
    out = values.new_zeros((len(groups.prompts), values.shape[1]))
    return out.scatter_reduce(0, index, values, how, include_self=False)
