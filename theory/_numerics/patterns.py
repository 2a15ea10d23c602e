"""Batches whose problems leave different entries out: split by what they keep."""

from collections.abc import Iterator

import torch
from torch import Tensor


def by_pattern(kept: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `(rows, pattern)`: the rows (n,) of a mask (B, M) that keep the same entries (M,)."""
    if len(kept) and bool(kept.all()):  # the usual case, without a sort
        yield torch.arange(len(kept), device=kept.device), torch.ones_like(kept[0])
        return
    patterns, which = torch.unique(kept, dim=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        yield (which == k).nonzero()[:, 0], pattern
