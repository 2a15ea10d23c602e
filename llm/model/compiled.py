"""Decoder layers compiled by `torch.compile` while training passes run, and only then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

BACKEND = "inductor"


@contextmanager
def compiled_layers(model: nn.Module, backend: str | None = BACKEND) -> Iterator[None]:
    """Run the model's layers compiled inside.

    Layers of one class share their code, so a model of 28 compiles as fast as one layer; new
    lengths compile twice more, then any length does. Sampling and forward-mode derivatives see the
    layers as they were. What cannot be compiled (no compiler, an unsupported operation) runs as it
    is, after a warning of torch's.

    Args:
        model: A transformers model; one without layers of the usual kind is left alone.
        backend: Of `torch.compile`; None: nothing is compiled.
    """
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    if backend is None or not layers:
        yield
        return
    for layer in layers:
        layer.forward = partial(_compiled(type(layer), backend), layer)  # type: ignore[arg-type]
    try:
        with torch._dynamo.config.patch(suppress_errors=True):
            yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


@cache
def _compiled(kind: type[nn.Module], backend: str) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(kind.forward, backend=backend)
    return compiled
