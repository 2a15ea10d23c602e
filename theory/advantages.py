"""From a score to an advantage: the group normalisations in use, one line each."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from covlaw.theory.groups import Groups, group_by_prompt
from covlaw.theory.rollouts import as_prompt_ids, require_pairs
from covlaw.theory.rounding import rounding

Normaliser = Callable[[Tensor, Groups], Tensor]


def centred(score: Tensor, groups: Groups) -> Tensor:
    """Dr. GRPO: s − mean of the prompt's group."""
    return groups.centre(score, groups.spread(1 / groups.counts.to(torch.float64)))


def leave_one_out(score: Tensor, groups: Groups) -> Tensor:
    """RLOO: s − mean of the group's other completions = K/(K−1) × centred (T20)."""
    counts = groups.spread(groups.counts.to(score.dtype))
    return centred(score, groups) * counts / (counts - 1)


def group_standardised(score: Tensor, groups: Groups) -> Tensor:
    """GRPO: centred / the group's std (ddof 1); groups of equal scores get 0 (T23)."""
    centred_score = centred(score, groups)
    variance = groups.sum(centred_score.square()) / (groups.counts.to(score.dtype) - 1)
    return _divide(centred_score, groups.spread(variance.sqrt()), score)


def globally_whitened(score: Tensor, groups: Groups) -> Tensor:
    """REINFORCE++: (s − batch mean) / batch std; mixes prompts (T22, T38)."""
    del groups
    return _divide(score - score.mean(), score.std().expand_as(score), score)


def pooled_within_standardised(score: Tensor, groups: Groups) -> Tensor:
    """Centred / pooled within-group std: one scale for the batch, no prompt reweighted (T38)."""
    centred_score = centred(score, groups)
    freedom = score.shape[0] - groups.prompts.shape[0]
    scale = (centred_score.square().sum() / freedom).sqrt()
    return _divide(centred_score, scale.expand_as(score), score)


NORMALISERS: Mapping[str, Normaliser] = {
    "dr_grpo": centred,
    "rloo": leave_one_out,
    "grpo": group_standardised,
    "reinforce++": globally_whitened,
    "pooled_within": pooled_within_standardised,
}
"""Advantage normalisation by name; float64 in, float64 out, (N,) each."""


def group_advantage(score: Tensor, prompt: Tensor, normaliser: str = "grpo") -> Tensor:
    """Normalise a score (N,) into an advantage (N,) within prompts (N,), at least 2 a prompt."""
    groups = group_by_prompt(as_prompt_ids(prompt))
    require_pairs(groups)
    return NORMALISERS[normaliser](score.to(torch.float64), groups)


def _divide(numerator: Tensor, scale: Tensor, score: Tensor) -> Tensor:
    # 0/0 := 0: scores that are equal carry no signal. Their computed spread may be some roundings
    # of their own size instead of 0, so that, and not an absolute epsilon, is the threshold.
    spread = scale > rounding(score.abs().max(), 4 * score.shape[0])
    return torch.where(spread, numerator / torch.where(spread, scale, 1.0), 0.0)
