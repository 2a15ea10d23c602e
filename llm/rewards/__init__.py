"""Rewards of completions; each maps texts, references and token counts to (N,) scores."""

import importlib
from collections.abc import Callable, Sequence

from torch import Tensor

from covlaw.llm.rewards.accuracy import accuracy
from covlaw.llm.rewards.clarity import clarity
from covlaw.llm.rewards.conciseness import conciseness
from covlaw.llm.rewards.state import RewardState, initial_state, observe_lengths
from covlaw.theory.errors import CovlawError
from covlaw.theory.rungs import unknown

Reward = Callable[[Sequence[str], Sequence[str], Tensor, RewardState], Tensor]
"""(completions, references, lengths (N,) in tokens, state) -> (N,) float64."""

REWARDS: dict[str, Reward] = {
    "accuracy": accuracy,
    "conciseness": conciseness,
    "clarity": clarity,
}

__all__ = ["REWARDS", "Reward", "RewardState", "initial_state", "load_reward", "observe_lengths"]


def load_reward(spec: str) -> Reward:
    """Find a reward by its name in `REWARDS`, or import it from ``module:function``.

    Raises:
        CovlawError: for an unknown name (with near matches), or a module or function that is
            missing or not callable.
    """
    if ":" not in spec:
        if spec not in REWARDS:
            raise unknown("reward", spec, (*REWARDS, "module:function"))
        return REWARDS[spec]
    module, _, function = spec.partition(":")
    try:
        reward = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise CovlawError(f"reward {spec!r} cannot be imported: {error}") from error
    if not callable(reward):
        raise CovlawError(f"reward {spec!r} is {type(reward).__name__}, not a function")
    found: Reward = reward
    return found
