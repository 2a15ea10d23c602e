"""Log-softmax within prompts of unequal size, differentiable in both modes."""

import torch
from torch import Tensor


def log_softmax_by_prompt(logits: Tensor, index: Tensor, prompts: int) -> Tensor:
    """Normalise `logits` (N,) within each prompt; `index` (N,) is in 0…prompts−1."""
    with torch.no_grad():  # a shift that cancels: it needs no derivative
        top = logits.new_zeros(prompts).scatter_reduce(
            0, index, logits.detach(), "amax", include_self=False
        )
    shifted = logits - top[index]
    total = logits.new_zeros(prompts).index_add(0, index, shifted.exp())
    return shifted - total.log()[index]
