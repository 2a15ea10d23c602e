"""KL-regularised bandits as rows of one padded batch, in units where β = 1 (T46)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.statements._support.random_instances import nearby
from covlaw.theory.statements.convergence._softmax_rows import padded_by_prompt
from covlaw.theory.worlds.world import World

CHUNK = 512


class RegularisedRows(NamedTuple):
    """B bandits: policy, reference and score s/β; padding has log-probs −inf and score 0."""

    log_prob: Tensor
    """(B, n) log π."""
    reference: Tensor
    """(B, n) log ref."""
    score: Tensor
    """(B, n) s/β."""

    def value(self, log_prob: Tensor) -> Tensor:
        """J = E s − KL(π‖ref) in units of β: (B,)."""
        live = self.reference > -torch.inf
        kept, reference = (torch.where(live, t, 0.0) for t in (log_prob, self.reference))
        mass = torch.where(live, kept.exp(), 0.0)
        return (mass * (self.score - kept + reference)).sum(1)


def sizes(log_prob: Tensor, best: Tensor) -> Tensor:
    """Largest |log| on the support, of both together: (B,)."""
    live = best > -torch.inf
    return torch.where(live, log_prob.abs() + best.abs(), 0.0).amax(1) + 1


def regularised_rows(source: World | RegularisedRows, rng: np.random.Generator) -> RegularisedRows:
    """Rows of a world's prompts and objectives, or rows as they are.

    A world gives π; ref is a policy near it, s an objective, and β between 1/100 and 10 ranges of
    it. Prompts in which a completion has no mass are left out: the bounds say 0 ≤ … there.
    """
    if isinstance(source, RegularisedRows):
        return source
    reference = source.log_prob_at(nearby(source, rng, float(10 ** rng.uniform(-2, 0.5))))
    columns = torch.cat([torch.stack([source.log_prob_at(), reference], 1), source.rewards], 1)
    table, live = padded_by_prompt(source, columns)
    rewards = torch.where(live[..., None], table[..., 2:], table[:, :1, 2:])
    span = rewards.amax(1) - rewards.amin(1)
    beta = torch.where(span > 0, span, 1.0) * torch.as_tensor(10 ** rng.uniform(-2, 1, span.shape))
    score = (rewards - rewards[:, :1]) / beta[:, None]
    full = torch.isfinite(table).all(-1).all(1) & (table[..., 0] > -700).all(1)
    policy = torch.where(live[..., None], table[..., :2], -torch.inf)[full]
    count = rewards.shape[2]
    return RegularisedRows(
        policy[..., 0].repeat_interleave(count, 0),
        policy[..., 1].repeat_interleave(count, 0),
        torch.where(live[..., None], score, 0.0)[full].mT.flatten(0, 1),
    )


def draw_regularised(rng: np.random.Generator, count: int) -> Iterator[RegularisedRows]:
    """Yield batches of `count` bandits in all: far from the optimum and, a third, very near it."""
    for first in range(0, count, CHUNK):
        yield random_regularised(rng, min(CHUNK, count - first))


def random_regularised(rng: np.random.Generator, count: int) -> RegularisedRows:
    """Draw bandits of one number of arms, 2–8."""
    shape = (count, int(rng.integers(2, 9)))
    spread = rng.choice([0.3, 1.0, 5.0], (3, count, 1))
    reference = torch.as_tensor(rng.normal(size=shape) * spread[0]).log_softmax(1)
    score = torch.as_tensor(rng.normal(size=shape) * spread[1])
    logits = torch.as_tensor(rng.normal(size=shape) * spread[2])
    distance = torch.as_tensor(10 ** rng.uniform(-7, 0, (count, 1)))
    close = torch.as_tensor(rng.random((count, 1)) < 1 / 3)
    moved = torch.where(close, reference + score + distance * logits, logits)
    return RegularisedRows(moved.log_softmax(1), reference, score)
