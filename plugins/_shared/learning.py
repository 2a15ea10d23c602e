"""What scalarizers that learn from steps are shown, and what their signals are made of."""

from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Signal

RATIOS = frozenset({"covariance", "losses"})
"""What is observed on completions apart from those that made the step."""


def observed_of(count: int, learns: bool, wanted: int | None, who: str, setting: str) -> int:
    """How many completions of each prompt observe: a quarter, and 2 at least, if nothing is said.

    Args:
        count: Completions of each prompt.
        learns: Whether the scalarizer learns from changes.
        wanted: What the user says.
        who: The scalarizer.
        setting: What the trainer calls `count`.

    Raises:
        CovlawError: where so many leave too few, or none are left for a scalarizer that learns.
    """
    found = (max(count // 4, 2) if learns else 0) if wanted is None else wanted
    if (found and not 2 <= found <= count - 2) or (learns and not found):
        raise CovlawError(
            f"{who} with {setting}={count} and observed={found}: a covariance takes two "
            f"completions of a prompt that train and two that observe; raise {setting} to 4 "
            "or more, and observed to 2"
        )
    return found


def is_weighted(signal: Signal, rewards: Tensor) -> bool:
    """Whether the score is rewards·weights and nothing else, to rounding."""
    if signal.weights is None:
        return False
    size = rewards.abs() @ signal.weights.abs()
    gap = (signal.score - rewards @ signal.weights).abs()
    return bool((gap <= rounding(size, 2 * rewards.shape[1])).all())
