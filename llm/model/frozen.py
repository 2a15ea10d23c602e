"""Weights that are not trained, in bfloat16: cast once a run instead of at every pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

WEIGHT = "weight"


class _Half(NamedTuple):
    """A copy, and which state of its parameter it is of."""

    parameter: nn.Parameter
    version: int


_halves: Any = WeakIdKeyDictionary()
"""Copies of frozen parameters, as long as these live."""


def half_of(parameter: nn.Parameter) -> nn.Parameter:
    """A frozen parameter's one copy in bfloat16, written anew in place once it has changed."""
    known: _Half | None = _halves.get(parameter)
    version = parameter._version
    if known is None:
        half = nn.Parameter(parameter.detach().to(torch.bfloat16), requires_grad=False)
        _halves[parameter] = known = _Half(half, version)
    elif known.version != version:
        known.parameter.copy_(parameter.detach())
        _halves[parameter] = known = _Half(known.parameter, version)
    return known.parameter


@contextmanager
def frozen_in_bfloat16(model: nn.Module, *, on: bool) -> Iterator[None]:
    """Inside, the frozen matrices of linear layers are their copies in bfloat16.

    Autocast makes the same numbers of them, at each pass anew: it keeps only what is trained. On a
    CPU that is a tenth of a step of a model of which ten of thirty layers are trained. On a GPU it
    is nothing beside the products, and the copies would cost memory.
    """
    swapped: list[tuple[nn.Linear, nn.Parameter]] = []
    linear = (m for m in model.modules() if isinstance(m, nn.Linear)) if on else ()
    for module in linear:
        own = module._parameters.get(WEIGHT)
        if own is not None and _is_cast(own):
            swapped.append((module, own))
    try:
        for module, weight in swapped:
            module._parameters[WEIGHT] = half_of(weight)
        yield
    finally:
        for module, weight in swapped:
            module._parameters[WEIGHT] = weight


def _is_cast(weight: Tensor) -> bool:
    frozen = not weight.requires_grad and weight.device.type == "cpu"
    return frozen and weight.dtype == torch.float32
