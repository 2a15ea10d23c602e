"""Rewards that say nothing of a completion: None from a reward function, NaN here."""

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt


def scored(rewards: Tensor, prompt: Tensor) -> Tensor:
    """Rewards (N, M) float64 with no NaN: no opinion is the mean of the prompt's other completions.

    So it adds nothing to a covariance. A reward without an opinion on any of them is 0.

    Args:
        rewards: (N, M), NaN where a reward has no opinion.
        prompt: (N,) prompt ids.
    """
    values, groups = rewards.double(), group_by_prompt(prompt)
    given = ~torch.isnan(values)
    kept = torch.where(given, values, 0.0)
    mean = groups.sum(kept) / groups.sum(given.double()).clamp(min=1)
    return torch.where(given, kept, mean[groups.position])
