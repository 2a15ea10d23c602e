"""Best of n by a score, from more than n samples a prompt: unbiased, ties averaged (T57)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.prompts import PromptIds
from covlaw.theory._numerics.weighting import Grouping, weighting
from covlaw.theory.estimators.prompt_covariances import checked_rewards


class BestOfN(NamedTuple):
    """Expected rewards of the best of n completions."""

    estimate: Tensor
    """(M,) mean over prompts."""
    standard_error: Tensor
    """(M,) clustered by prompt; NaN for a single prompt."""
    per_prompt: Tensor
    """(P, M)."""
    prompts: Tensor
    """(P,) prompt ids, ascending."""


def best_of_n(
    rewards: Numbers,
    score: Numbers,
    prompt: PromptIds,
    n: int,
    prompt_mass: Numbers | None = None,
) -> BestOfN:
    """E[r_j of the completion of highest score among n draws], from K ≥ n samples a prompt (T57).

    The i-th smallest of K scores is the best of C(i−1, n−1) of the C(K, n) subsets of n, so it
    weighs C(i−1, n−1)/C(K, n); completions of equal score share the weight of their ranks. The mean
    over subsets is unbiased.

    Args:
        rewards: (N, M).
        score: (N,) by which the best is chosen.
        prompt: (N,) prompt ids, integers or labels of any kind.
        n: 1 to the smallest group.
        prompt_mass: (P,) prompt probabilities by ascending id, or None for uniform.

    Raises:
        CovlawError: on an n that some prompt has not enough completions for, a score of the wrong
            shape or not finite, and as `within_prompt_covariance`.
    """
    weights = weighting(Grouping(prompt, None, prompt_mass))
    values, groups = checked_rewards(rewards, weights), weights.groups
    by = as_float64(score, "score", values.device)
    if by.shape != groups.position.shape or not bool(torch.isfinite(by).all()):
        raise CovlawError(
            f"score has shape {tuple(by.shape)} for {groups.position.shape[0]} completions, or an "
            "entry that is not finite: give one finite number a completion"
        )
    fewest = int(groups.counts.argmin())
    if not 1 <= n <= int(groups.counts[fewest]):
        raise CovlawError(
            f"best of {n}: prompt {groups.label(fewest)} has {int(groups.counts[fewest])} "
            "completions; ask for 1 to as many, or drop the smaller groups"
        )
    per_prompt = groups.sum(subset_weights(by, groups, n)[:, None] * values)
    return BestOfN(*weights.average(per_prompt), per_prompt, groups.prompts)


def subset_weights(score: Tensor, groups: Groups, n: int) -> Tensor:
    """Share of the subsets of n in which each completion is the best; (N,), sums to 1 a prompt."""
    order = torch.argsort(score, stable=True)
    order = order[torch.argsort(groups.position[order], stable=True)]
    prompt, sorted_score = groups.position[order], score[order]
    start = torch.cumsum(groups.counts, 0) - groups.counts
    same = (prompt[1:] == prompt[:-1]) & (sorted_score[1:] == sorted_score[:-1])
    tie = torch.cat([same.new_zeros(1), ~same]).long().cumsum(0)
    below = torch.searchsorted(tie, tie) - start[prompt]
    upto = torch.searchsorted(tie, tie, right=True) - start[prompt]
    size = groups.counts[prompt]
    shares = _subsets(upto, size, n) - _subsets(below, size, n)
    weight = torch.empty_like(score)
    weight[order] = shares / (upto - below)
    return weight


def _subsets(rank: Tensor, size: Tensor, n: int) -> Tensor:
    """C(rank, n)/C(size, n): share of the subsets that lie within the lowest `rank`."""
    share = torch.ones_like(rank, dtype=torch.float64)
    for i in range(n):
        share = share * (rank - i).clamp(min=0) / (size - i)
    return share
