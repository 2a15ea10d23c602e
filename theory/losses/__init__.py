"""Policy losses: an object each with its loss, what it weighs (W), and the score it follows (s)."""

from typing import TYPE_CHECKING

from covlaw._lazy import lazy_names
from covlaw.theory.losses.names import LOSSES, find_loss

if TYPE_CHECKING:
    from covlaw.theory.losses._token_loss import TokenLoss
    from covlaw.theory.losses.protocol import PolicyLoss
    from covlaw.theory.losses.registry import effective_weight, make_loss
else:  # which load torch: listing the losses needs none
    _REGISTRY = "covlaw.theory.losses.registry"
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "PolicyLoss": "covlaw.theory.losses.protocol",
            "TokenLoss": "covlaw.theory.losses._token_loss",
            "effective_weight": _REGISTRY,
            "make_loss": _REGISTRY,
        },
        {},
    )

__all__ = ["LOSSES", "PolicyLoss", "TokenLoss", "effective_weight", "find_loss", "make_loss"]
