"""A log in pieces of whole groups, so that what is computed of a piece stays small."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.logs.log import Log
from covlaw.theory._numerics.groups import Groups

ROWS = 4096
"""Completions of a piece, or the largest group."""


class Chunk(NamedTuple):
    """Rows of some prompts of one step, groups adjacent."""

    rewards: Tensor
    """(n, M) float64, 0 where unknown."""
    known: Tensor | None
    """(n, M) bool; None: all are."""
    score: Tensor
    """(n,) weighted sum of the known rewards."""
    signal: Tensor | None
    """(n,) what the policy was trained on, where it is known before groups are."""
    length: Tensor | None
    groups: Groups
    """Of these rows; `prompts` are the log's numbers."""


def pieces(log: Log, rows: slice, score: Tensor, signal: Tensor | None) -> Iterator[Chunk]:
    """Cut one step's rows into whole groups.

    Args:
        log: The log.
        rows: Those of the step.
        score: (n,) of these rows.
        signal: (n,) of these rows, or None.
    """
    prompt = log.prompt[rows]
    order = None if bool((prompt[1:] >= prompt[:-1]).all()) else torch.argsort(prompt, stable=True)
    sorted_prompt = prompt if order is None else prompt[order]
    numbers, counts = torch.unique_consecutive(sorted_prompt, return_counts=True)
    ends = counts.cumsum(0)
    first = 0
    while first < len(numbers):
        start = int(ends[first] - counts[first])
        last = max(first + 1, int(torch.searchsorted(ends, start + ROWS, right=True)))
        stop = int(ends[last - 1])
        part = torch.arange(start, stop) if order is None else order[start:stop]
        sizes = counts[first:last]
        position = torch.repeat_interleave(torch.arange(last - first), sizes)
        values = log.rewards[rows][part]
        known = ~torch.isnan(values)
        whole = bool(known.all())
        yield Chunk(
            values if whole else torch.where(known, values, 0.0),
            None if whole else known,
            score[part],
            None if signal is None else signal[part],
            None if log.length is None else log.length[rows][part],
            Groups(numbers[first:last], position, sizes),
        )
        first = last


def scores(rewards: Tensor, weights: Tensor) -> Tensor:
    """λ·r of every completion, rewards without an opinion adding nothing: (N,)."""
    parts = [torch.nan_to_num(part, nan=0.0) @ weights for part in rewards.split(ROWS)]
    return torch.cat(parts)
