"""Values without their offset, so that a large one costs no digits of their differences."""

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt


def from_an_own_completion(values: Tensor, prompt: Tensor) -> Tensor:
    """Values (N, M) less those of the first completion of the same prompt: (N, M)."""
    groups = group_by_prompt(prompt)
    rows = torch.arange(len(prompt))
    first = torch.zeros_like(groups.counts)
    first = first.scatter_reduce(0, groups.position, rows, "amin", include_self=False)
    return values - groups.spread(values[first])
