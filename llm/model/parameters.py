"""Parameters by name: copies, differences, and a model borrowed at other parameters."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Parameters = Mapping[str, Tensor]
"""Trainable parameters, or a direction among them, by name."""


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name; tied ones once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def count_of(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in trainable(model).values())


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """Detached copies of the trainable parameters."""
    return {name: p.detach().clone() for name, p in trainable(model).items()}


def difference(new: Parameters, old: Parameters) -> dict[str, Tensor]:
    """New − old, detached."""
    return {name: new[name].detach() - old[name] for name in old}


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the accumulated gradients; 0 where there is none."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
        for name, p in trainable(model).items()
    }


@contextmanager
def at(model: nn.Module, parameters: Parameters) -> Iterator[nn.Module]:
    """Use the model at other parameters, then put its own back."""
    own = copy_of(model)
    load(model, parameters)
    try:
        yield model
    finally:
        load(model, own)


@torch.no_grad()
def load(model: nn.Module, parameters: Parameters) -> None:
    """Give the model these parameters, in place."""
    for name, p in trainable(model).items():
        p.copy_(parameters[name])
