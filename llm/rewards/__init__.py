"""Rewards of completions; each maps texts, references and token counts to (N,) scores."""

from collections.abc import Callable, Sequence

from torch import Tensor

from covlaw.llm.rewards.accuracy import accuracy
from covlaw.llm.rewards.clarity import clarity
from covlaw.llm.rewards.conciseness import conciseness
from covlaw.llm.rewards.reference import (
    accuracy_reference,
    clarity_reference,
    conciseness_reference,
)
from covlaw.llm.rewards.spec import RewardSpec, find_reward, parse_reward, reward_names
from covlaw.llm.rewards.state import RewardState, initial_state, observe_lengths

Reward = Callable[[Sequence[str], Sequence[str], Tensor, RewardState], Tensor]
"""(completions, references, lengths (N,) in tokens, state) -> (N,) float64."""

REWARDS: dict[str, Reward] = {
    "accuracy": accuracy,
    "conciseness": conciseness,
    "clarity": clarity,
    "accuracy_reference": accuracy_reference,
    "conciseness_reference": conciseness_reference,
    "clarity_reference": clarity_reference,
}
"""The paper's three as they should be, and as its public code computes them."""

__all__ = [
    "REWARDS",
    "Reward",
    "RewardSpec",
    "RewardState",
    "initial_state",
    "load_reward",
    "observe_lengths",
    "parse_reward",
    "reward_names",
]


def load_reward(target: str) -> Reward:
    """Find a reward by its name in `REWARDS`, or import "module:function" or "file.py:function".

    Raises:
        CovlawError: for an unknown name (with near matches), a module, file or function that is
            missing or fails on import, or a function with another signature.
    """
    return find_reward(target, REWARDS)
