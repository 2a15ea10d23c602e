"""Accuracy: the last boxed answer equals the reference."""

from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.rewards.equivalence import equivalent
from covlaw.llm.rewards.state import RewardState


def accuracy(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where the last boxed answer is equivalent to the reference: (N,) float64."""
    del lengths, state
    pairs = zip(completions, references, strict=True)
    return torch.tensor([is_correct(*pair) for pair in pairs], dtype=torch.float64)


def is_correct(completion: str, reference: str) -> bool:
    """Tell whether the last boxed answer is equivalent to the reference; no box is never right."""
    answer = last_boxed(completion)
    return answer is not None and equivalent(answer, reference)
