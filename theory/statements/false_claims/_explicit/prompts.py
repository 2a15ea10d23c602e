"""Softmax bandits of several prompts from exact rational data (F3, F6, F14)."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.statements.false_claims._explicit.worlds import Rationals, as_tensor
from covlaw.theory.worlds.world import World

Rows = Sequence[Rationals]
"""One row of rationals a prompt."""


def explicit_prompts(
    label: str, policies: Rows, rewards: Rows, features: Rows | None = None
) -> World:
    """Equally likely prompts with the given arm probabilities and one reward an arm.

    Args:
        label: Name of the world.
        policies: P rows of probabilities, each of sum exactly 1.
        rewards: P rows of rewards.
        features: P rows φ of one shared parameter, log π = φ·θ + log policy − normaliser at
            θ = 0; None: one free logit an arm.

    Raises:
        ValueError: if the probabilities of a prompt do not sum to exactly 1.
    """
    for policy in policies:
        if sum(policy) != 1:
            raise ValueError(f"{label}: probabilities sum to {sum(policy)}")
    base, sizes = flat(policies).log(), torch.tensor([len(policy) for policy in policies])
    index = torch.arange(len(sizes)).repeat_interleave(sizes)
    free = torch.eye(len(base), dtype=torch.float64)
    design = free if features is None else flat(features)[:, None]

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(base + design @ theta, index, len(sizes))

    return World(
        label=label,
        prompt=index,
        rewards=flat(rewards)[:, None],
        names=("r",),
        theta=torch.zeros(design.shape[1], dtype=torch.float64),
        log_prob=log_prob,
        tabular=features is None,
        depth=2 * len(base) + 8,
    )


def flat(rows: Rows) -> Tensor:
    """All prompts' rationals in one float64 vector."""
    return as_tensor(list(chain(*rows)))
