"""Reward functions as a user would bring them, by "own_rewards:name"."""

from collections.abc import Sequence

from torch import Tensor

from covlaw.llm.rewards import RewardState


def digits(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> list[float]:
    """Share of digits among the words: dense, so that a random policy has something to learn."""
    del references, lengths, state
    words = [text.split() or [""] for text in completions]
    return [sum(w.isdigit() for w in row) / len(row) for row in words]


def brief(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """1 / length."""
    del completions, references, state
    return 1 / lengths.double()


def broken(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> list[float]:
    """NaN on the fourth completion."""
    del references, lengths, state
    return [float("nan") if k == 3 else 0.0 for k, _ in enumerate(completions)]


def odd_length(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> Tensor:
    """1 for an odd number of tokens: right or wrong, and both occur."""
    del completions, references, state
    return lengths % 2


def numeral(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> list[float]:
    """1 for a digit alone."""
    del references, lengths, state
    return [float(text.isdigit()) for text in completions]


def no_numeral(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> list[float]:
    """What `numeral` leaves, so that whatever favours one of the two takes from the other."""
    return [1 - value for value in numeral(completions, references, lengths, state)]


def low_numeral(
    completions: Sequence[str], references: Sequence[str], lengths: Tensor, state: RewardState
) -> list[float]:
    """1 for one of five digits: on the side of `numeral`."""
    del references, lengths, state
    return [float(text in {*"01234"}) for text in completions]
