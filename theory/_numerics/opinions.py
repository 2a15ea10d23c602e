"""Completions on which a reward has no opinion: NaN, left out of that objective."""

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt


def without_opinion(rewards: Tensor, prompt: Tensor) -> Tensor:
    """Give completions without an opinion (NaN) what takes them out of every covariance: (N, M).

    Where others of the prompt have one, it is their mean, which is 0 once centred; a prompt
    without any is 0 throughout. Then Cov over the prompt is P(opinion) times the change of
    E[r | opinion], and a silent prompt adds 0 to a mean over prompts: signs are those of the
    objective's own prompts, sizes are theirs times the share of such completions.

    Args:
        rewards: (N, M) float64, NaN where there is no opinion.
        prompt: (N,) ids.
    """
    silent = rewards.isnan()
    if not bool(silent.any()):
        return rewards
    groups = group_by_prompt(prompt)
    position = groups.position[:, None].expand_as(rewards)
    start = rewards.new_full((len(groups.prompts), rewards.shape[1]), torch.inf)
    least = start.scatter_reduce(0, position, torch.where(silent, torch.inf, rewards), "amin")
    least = torch.where(least.isinf(), 0.0, least)
    above = torch.where(silent, 0.0, rewards - groups.spread(least))  # equal values stay equal
    mean = least + groups.sum(above) / groups.sum((~silent).double()).clamp(min=1)
    return torch.where(silent, groups.spread(mean), rewards)
