"""Gradients that each rank has of its own rows, summed over all ranks."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from covlaw.llm.distributed.processes import active
from covlaw.llm.model.parameters import trainable


@contextmanager
def summed_gradients(model: nn.Module) -> Iterator[None]:
    """Add to `.grad` the sum over ranks of what the body adds to it on each.

    What was there before is every rank's alike and counts once. A parameter that gets no gradient
    on any rank keeps none, so that the optimizer passes it over as it does on one rank.
    """
    if active().alone:
        yield
        return
    parameters = list(trainable(model).values())
    earlier = [p.grad for p in parameters]
    for p in parameters:
        p.grad = None
    yield
    _sum(parameters)
    for p, before in zip(parameters, earlier, strict=True):
        if before is not None:
            p.grad = before if p.grad is None else p.grad.add_(before)


def _sum(parameters: list[nn.Parameter]) -> None:
    ranks = active()
    has = torch.tensor([p.grad is not None for p in parameters])
    anywhere = torch.stack([part["has"] for part in ranks.gather({"has": has}, "gradients")]).any(0)
    reached = [p for p, found in zip(parameters, anywhere.tolist(), strict=True) if found]
    totals = list[Tensor]()
    for p in reached:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        totals.append(p.grad)
    ranks.sum_in_place(totals, "gradients")
