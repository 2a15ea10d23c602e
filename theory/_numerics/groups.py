"""Sums and means within prompts, without a loop over prompts."""

from collections.abc import Hashable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Groups(NamedTuple):
    """Rows grouped by prompt."""

    prompts: Tensor
    """(P,) the distinct prompt ids, ascending."""
    position: Tensor
    """(N,) position of each row's prompt in `prompts`."""
    counts: Tensor
    """(P,) completions a prompt."""
    labels: tuple[Hashable, ...] | None = None
    """What ids that are no integers number; see `covlaw.theory._numerics.prompts`."""

    def label(self, k: int) -> str:
        """The k-th prompt's id as its owner wrote it, for messages."""
        number = int(self.prompts[k])
        return str(number) if self.labels is None else repr(self.labels[number])

    def sum(self, values: Tensor) -> Tensor:
        """Sum `values` (N, ...) within each prompt: (P, ...)."""
        out = values.new_zeros((self.prompts.shape[0], *values.shape[1:]))
        return out.index_add_(0, self.position, values)

    def spread(self, per_prompt: Tensor) -> Tensor:
        """Give each row its prompt's value: (P, ...) -> (N, ...)."""
        return per_prompt[self.position]

    def share(self, mass: Tensor | None) -> Tensor:
        """Weights (N,) float64 that sum to 1 within each prompt: `mass` normalised, or 1/K."""
        if mass is None:
            return self.spread(1 / self.counts.to(torch.float64))
        return mass / self.spread(self.sum(mass))

    def span(self, values: Tensor) -> Tensor:
        """max − min of `values` (N, ...) within each prompt: (P, ...)."""
        index = _rowwise(self.position, values).expand_as(values)
        out = values.new_zeros((self.prompts.shape[0], *values.shape[1:]))
        top = out.scatter_reduce(0, index, values, "amax", include_self=False)
        return top - out.scatter_reduce(0, index, values, "amin", include_self=False)

    def centre(self, values: Tensor, weights: Tensor) -> Tensor:
        """Subtract the prompt's weighted mean; `weights` (N,) sum to 1 within a prompt."""
        mean = self.sum(_rowwise(weights, values) * values)
        return values - self.spread(mean)


def group_by_prompt(prompt: Tensor) -> Groups:
    """Group rows by integer prompt id, in any order."""
    prompts, index, counts = torch.unique(prompt, return_inverse=True, return_counts=True)
    return Groups(prompts, index, counts)


def _rowwise(weights: Tensor, values: Tensor) -> Tensor:
    return weights.reshape(-1, *([1] * (values.ndim - 1)))


def by_pattern(kept: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `(rows, pattern)`: the rows (n,) of a mask (B, M) that keep the same entries (M,)."""
    if len(kept) and bool(kept.all()):  # the usual case, without a sort
        yield torch.arange(len(kept), device=kept.device), torch.ones_like(kept[0])
        return
    patterns, which = torch.unique(kept, dim=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        yield (which == k).nonzero()[:, 0], pattern
