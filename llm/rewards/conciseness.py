"""Conciseness: an answer in no more tokens than the policy has lately used."""

from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.rewards.state import RewardState


def conciseness(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """Score 1 where the length is at most the decaying mean and an answer is boxed: (N,) float64.

    Without the demand for an answer the shortest completion of all, the empty one, would be
    perfect. A length equal to the mean counts: a policy with a single length is not verbose.
    """
    del references
    answered = torch.tensor(
        [last_boxed(text) is not None for text in completions], dtype=torch.bool
    )
    short = lengths.double().cpu() <= state.mean_length.double().cpu()
    return (answered & short).double()
