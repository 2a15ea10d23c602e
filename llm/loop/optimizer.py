"""The optimiser of training passes."""

import torch
from torch import nn

from covlaw.llm.model.parameters import trainable


def make_adamw(
    model: nn.Module, rate: float, decay: float, betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.AdamW:
    """Build AdamW; on a GPU its fused form, which reads and writes each tensor once."""
    parameters = list(trainable(model).values())
    fused = parameters[0].device.type == "cuda" or None  # None: torch's default
    return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay, fused=fused)
