"""Accuracy: the last boxed answer equals the reference."""

from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.rewards.answers import budget
from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.rewards.equivalence import verdict
from covlaw.llm.rewards.state import RewardState


def accuracy(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where the last boxed answer is equivalent to the reference: (N,) float64.

    Hard questions of one batch share `budget.BATCH_SECONDS`; what is left after that is refused.
    """
    del lengths, state
    pairs = zip(completions, references, strict=True)
    with budget.batch():
        return torch.tensor([is_correct(*pair) for pair in pairs], dtype=torch.float64)


def is_correct(completion: str, reference: str) -> bool:
    """Tell whether the last boxed answer is equivalent to the reference; no box is never right."""
    answer = last_boxed(completion)
    if answer is None:
        return False
    found = verdict(answer, reference)
    if found is None:
        budget.cut()
    return found is True
