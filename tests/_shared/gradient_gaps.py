"""Comparing gradients of a float32 policy: what rounding explains, and nothing else."""

from typing import Any

import torch
from torch import Tensor, nn

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.parameters import gradients
from covlaw.theory.losses.aggregation import share_of

UNIT = 2.0**-24


def flat_gradient(model: nn.Module, batch: TrainingBatch, config: TrainConfig) -> Tensor:
    """(D,) float64 gradient of the batch's loss; `.grad` is left empty."""
    model.zero_grad(set_to_none=True)
    accumulate(model, batch, config)
    found = gradients(model)
    model.zero_grad(set_to_none=True)
    return torch.cat([found[name].reshape(-1).double() for name in sorted(found)])


def rounding_of(model: Any, batch: TrainingBatch, config: TrainConfig) -> float:
    """Bound on ‖difference‖ of two ways to compute one batch's gradient.

    Each row's gradient passes through products of the widest layer, the vocabulary's softmax and
    its own tokens, and rows are then added: so many roundings, relative to Σ‖row's gradient‖,
    forward and backward, in both computations.
    """
    size, mask = 0.0, batch.completions.mask
    for k in range(len(mask)):
        row = batch.rows(torch.tensor([k]))
        share = share_of(row.completions.mask, mask, config.aggregation)
        size += share * float(flat_gradient(model, row, config).norm())
    widest = max(max(p.shape) for p in model.parameters())
    return 4 * (2 * widest + mask.numel()) * UNIT * size
