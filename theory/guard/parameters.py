"""From a model's parameters to flat vectors and back."""

from collections.abc import Iterable

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def snapshot(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Copies of the parameters, to be taken before the optimiser steps."""
    return [p.detach().clone() for p in parameters]


def step_since(old: list[Tensor], parameters: Iterable[Tensor]) -> Tensor:
    """Realised step u = θ_new − θ_old: (D,) float32 or wider, in the order of the parameters.

    Raises:
        CovlawError: if parameters came, went or changed shape since the snapshot.
    """
    now = list(parameters)
    if [p.shape for p in now] != [p.shape for p in old]:
        raise CovlawError(
            f"{len(now)} parameters now, {len(old)} in the snapshot, or of other shapes: take a "
            "new snapshot after adding, removing or freezing any"
        )
    wide = [torch.promote_types(p.dtype, torch.float32) for p in now]
    return torch.cat(
        [(p.detach().to(w) - o.to(w)).reshape(-1) for p, o, w in zip(now, old, wide, strict=True)]
    )


def flat_gradient(gradients: Iterable[Tensor | None], parameters: Iterable[Tensor]) -> Tensor:
    """Gradients as `torch.autograd.grad(..., allow_unused=True)` returns them: (D,), None as 0."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs])


@torch.no_grad()
def write_step(old: list[Tensor], parameters: Iterable[Tensor], step: Tensor) -> None:
    """θ ← θ_old + step, in place; parameters narrower than float32 round it.

    Raises:
        CovlawError: if the step has another number of entries.
    """
    now, start = list(parameters), 0
    if sum(p.numel() for p in now) != step.numel():
        raise CovlawError(
            f"a step of {step.numel()} entries for {sum(p.numel() for p in now)} parameters"
        )
    for parameter, before in zip(now, old, strict=True):
        part = step[start : start + parameter.numel()].reshape(parameter.shape)
        parameter.copy_((before.to(part.dtype) + part).to(parameter.dtype))
        start += parameter.numel()
