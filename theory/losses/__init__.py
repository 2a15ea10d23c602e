"""Policy losses: an object each with its loss, what it weighs (W), and the score it follows (s)."""

from covlaw.theory.losses.protocol import PolicyLoss
from covlaw.theory.losses.registry import LOSSES, effective_weight, find_loss, make_loss

__all__ = ["LOSSES", "PolicyLoss", "effective_weight", "find_loss", "make_loss"]
