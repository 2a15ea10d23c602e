"""Policy losses by name. A new one is one file and one line here, or comes from outside."""

from __future__ import annotations

from inspect import isclass
from typing import TYPE_CHECKING, Any, cast

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import Registry

if TYPE_CHECKING:  # names and help need no torch
    from covlaw.theory.losses.protocol import PolicyLoss

_HERE = "covlaw.theory.losses"
_PARTS = ("published_aggregation", "source", "loss", "token_weight", "weight", "score", "clipped")


def _is_loss(found: Any, target: str) -> type[PolicyLoss]:
    missing = [part for part in _PARTS if not hasattr(found, part)]
    if missing or not isclass(found):
        lacks = f" without {', '.join(missing)}" if missing else ""
        raise CovlawError(
            f"loss {target!r} is {type(found).__name__}{lacks}: give a class that follows "
            "covlaw.theory.losses.protocol.PolicyLoss"
        )
    return cast("type[PolicyLoss]", found)


LOSSES: Registry[type[PolicyLoss]] = Registry(
    "loss",
    "covlaw.losses",
    {
        "ppo": f"{_HERE}.ppo:PPO",
        "dapo": f"{_HERE}.ppo:DAPO",
        "cispo": f"{_HERE}.cispo:CISPO",
        "gspo": f"{_HERE}.gspo:GSPO",
        "gspo_token": f"{_HERE}.gspo:GSPOToken",
    },
    _is_loss,
)
"""Name → what builds the loss from its settings, imported when asked for."""


def find_loss(name: str) -> type[PolicyLoss]:
    """What builds the loss of a name, or of "module:Class" or "path/to/file.py:Class".

    Raises:
        CovlawError: for an unknown one, with the near matches, or a class that is no loss.
    """
    return LOSSES.find(name)
