"""Rewards of completions; each maps texts, references and token counts to (N,) scores."""

from typing import TYPE_CHECKING, Any

from covlaw._lazy import lazy_names
from covlaw.llm.rewards.signature import with_signature
from covlaw.llm.rewards.spec import parse_reward, reward_names
from covlaw.theory._numerics.plugins import Registry

if TYPE_CHECKING:
    from covlaw.llm.rewards.state import Reward, RewardState, initial_state, observe_lengths
else:  # which load torch: listing the rewards needs none
    _STATE = "covlaw.llm.rewards.state"
    __getattr__, __dir__ = lazy_names(
        __name__,
        dict.fromkeys(("Reward", "RewardState", "initial_state", "observe_lengths"), _STATE),
        {},
    )

__all__ = [
    "REWARDS",
    "Reward",
    "RewardState",
    "initial_state",
    "load_reward",
    "observe_lengths",
    "parse_reward",
    "reward_names",
    "wants_box",
    "wants_number",
]

_HERE = "covlaw.llm.rewards"

REWARDS: Registry["Reward"] = Registry(
    "reward",
    "covlaw.rewards",
    {
        "accuracy": f"{_HERE}.accuracy:accuracy",
        "conciseness": f"{_HERE}.conciseness:conciseness",
        "clarity": f"{_HERE}.clarity:clarity",
        "right": f"{_HERE}.plain:right",
        "ends": f"{_HERE}.plain:ends",
        "thorough": f"{_HERE}.plain:thorough",
        "accuracy_reference": f"{_HERE}.reference:accuracy_reference",
        "conciseness_reference": f"{_HERE}.reference:conciseness_reference",
        "clarity_reference": f"{_HERE}.reference:clarity_reference",
    },
    with_signature,
)
"""The paper's three as they should be, three for plain text, and the paper's as its public code
computes them."""


BOXED = ("accuracy", "conciseness", "clarity", "accuracy_reference")
"""Rewards of ours that are 0 without a box."""


def wants_box(entry: str) -> bool:
    """Whether an entry of a run's `rewards` is one of `BOXED`."""
    return parse_reward(entry).target in BOXED


def wants_number(entry: str) -> bool:
    """Whether an entry of a run's `rewards` is 0 wherever the reference answer has no number."""
    return parse_reward(entry).target == "right"


def load_reward(target: str) -> Any:
    """Find a reward by its name in `REWARDS`, or import "module:function" or "file.py:function".

    Raises:
        CovlawError: for an unknown name (with near matches), a module, file or function that is
            missing or fails on import, or a function with another signature.
    """
    return REWARDS.find(target)
