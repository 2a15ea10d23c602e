"""Every batch of K completions that a small world can show, with its probability (T20–T23, F6)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.worlds.world import World


class Batches(NamedTuple):
    """All K-tuples of completions of every prompt."""

    rows: Tensor
    """(B, K) row of each completion in its world."""
    probability: Tensor
    """(B,) Π_k π(y_k|x); adds up to 1 within a prompt."""
    prompt: Tensor
    """(B,) position of the batch's prompt."""

    @property
    def flat(self) -> Tensor:
        """(B·K,) rows, batch by batch: each batch is a prompt of its own to an estimator."""
        return self.rows.reshape(-1)

    @property
    def owner(self) -> Tensor:
        """(B·K,) batch of each entry of `flat`."""
        return torch.arange(len(self.rows)).repeat_interleave(self.rows.shape[1])

    def expectation(self, statistic: Tensor) -> Tensor:
        """E[statistic | x] of a statistic (B, M) of each batch: (P, M)."""
        out = statistic.new_zeros(int(self.prompt.max()) + 1, statistic.shape[1])
        return out.index_add_(0, self.prompt, self.probability[:, None] * statistic)


def all_batches(world: World, completions: int) -> Batches:
    """List them: n^K a prompt of n completions."""
    mass, prompts = world.log_prob_at().exp().numpy(), world.prompt.numpy()
    rows, owner = [], []
    for position, x in enumerate(np.unique(prompts)):
        own = np.flatnonzero(prompts == x)
        tuples = own[np.indices((len(own),) * completions).reshape(completions, -1).T]
        rows.append(tuples)
        owner.append(np.full(len(tuples), position))
    every = np.concatenate(rows)
    probability = torch.as_tensor(mass[every].prod(1))
    return Batches(torch.as_tensor(every), probability, torch.as_tensor(np.concatenate(owner)))


def from_an_own_completion(values: Tensor, prompt: Tensor) -> Tensor:
    """Values (N, M) less those of the first completion of the same prompt: (N, M)."""
    groups = group_by_prompt(prompt)
    rows = torch.arange(len(prompt))
    first = torch.zeros_like(groups.counts)
    first = first.scatter_reduce(0, groups.position, rows, "amin", include_self=False)
    return values - groups.spread(values[first])
