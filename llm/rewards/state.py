"""What the rewards remember between training batches."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


class RewardState(NamedTuple):
    """The memory of the rewards: a NamedTuple of tensors, checkpointed as such.

    Attributes:
        mean_length: () float64, decaying mean of the completion lengths in tokens.
        total_length: () float64, tokens of all training completions rewarded so far; with `seen`
            the lifetime mean that `conciseness_reference` compares with.
        seen: () float64, number of those completions.
        limit: () float64, tokens that a completion may have, told by whoever draws; 0: untold.
    """

    mean_length: Tensor
    total_length: Tensor = torch.zeros((), dtype=torch.float64)
    seen: Tensor = torch.zeros((), dtype=torch.float64)
    limit: Tensor = torch.zeros((), dtype=torch.float64)

    def limited(self, tokens: int) -> "RewardState":
        """Say how many tokens a completion may have."""
        return self._replace(limit=torch.tensor(tokens, dtype=torch.float64))


Reward = Callable[[Sequence[str], Sequence[str], Tensor, RewardState], Tensor]
"""(completions, references, lengths (N,) in tokens, state) -> (N,) float64."""


def initial_state(lengths: Tensor) -> RewardState:
    """Start from the mean length of a first batch, (N,) tokens, none of it rewarded yet."""
    return RewardState(_mean(lengths))


def observe_lengths(state: RewardState, lengths: Tensor, decay: float = 0.9) -> RewardState:
    """Move the mean towards a training batch: m ← m + (1 − decay)·(mean(lengths) − m).

    It forgets, unlike a mean over the whole run, which a policy beats for ever once it has become
    short. Call it after the batch was rewarded, and never in an evaluation.

    Raises:
        CovlawError: for a decay outside [0, 1) or an empty batch.
    """
    if not 0 <= decay < 1:
        raise CovlawError(f"decay {decay} of the mean length must lie in [0, 1)")
    change = _mean(lengths) - state.mean_length
    return RewardState(
        state.mean_length + (1 - decay) * change,
        state.total_length + lengths.double().sum(),
        state.seen + lengths.numel(),
    )


def _mean(lengths: Tensor) -> Tensor:
    if lengths.numel() == 0:
        raise CovlawError("no completion lengths: the mean length needs at least one")
    return lengths.double().mean()
