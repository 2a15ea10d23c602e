"""The length penalty of the token-level Tchebycheff: in closed form, and by the scalarizer (E8)."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements.base import Part


def penalty_part(rng: np.random.Generator) -> Part:
    """Mean advantage of completions that differ in length alone: (measured, predicted, tolerance).

    By the scalarizer's `reference=True` form, and in closed form.
    """
    lengths = torch.as_tensor(rng.choice(np.arange(1, 31), size=3, replace=False))
    reward = torch.as_tensor(rng.uniform(0.5, 1.5, size=2)).expand(3, 2)
    predicted = closed_form(lengths)
    # a return s − u·c rounds on the scale of |s| + 30c, and is divided by its spread of some c
    steps = int(lengths.sum())
    error = rounding(64.0 / _spread(lengths) * (1 + predicted.abs().max()), 4 * steps + 32)
    return mean_advantage(lengths, reward), predicted, error.expand_as(predicted)


def mean_advantage(lengths: Tensor, rewards: Tensor) -> Tensor:
    """Mean over its tokens of each completion's token-level advantage, by the scalarizer: (N,)."""
    names = [f"objective {j}" for j in range(rewards.shape[1])]
    scalarizer = make_scalarizer("tchebycheff", names, reference=True)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    batch = Batch(rewards, torch.zeros(len(lengths), dtype=torch.int64), mask=mask)
    advantage = scalarizer.signal(scalarizer.init(), batch)[1].advantage
    if advantage is None:
        raise TypeError("the reference form returns an advantage")
    return advantage.sum(1) / lengths


def closed_form(lengths: Tensor) -> Tensor:
    """(ū − (L − 1)/2)/sd(u), u the tokens that follow each token of the batch: (N,).

    Whatever the rewards, as long as they are equal and positive.
    """
    length = lengths.to(torch.float64)
    mean = (length * (length - 1) / 2).sum() / length.sum()
    return (mean - (length - 1) / 2) / _spread(lengths)


def _spread(lengths: Tensor) -> Tensor:
    """Standard deviation (ddof 1) of u over all tokens, by sums of powers."""
    length = lengths.to(torch.float64)
    total = length.sum()
    mean = (length * (length - 1) / 2).sum() / total
    squares = ((length - 1) * length * (2 * length - 1) / 6).sum()
    return ((squares - total * mean.square()) / (total - 1)).sqrt()
