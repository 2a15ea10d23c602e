"""Build a policy loss by name, and the effective weight of one."""

import inspect
from typing import Any

from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers
from covlaw.theory._numerics.errors import unknown
from covlaw.theory.losses.names import find_loss
from covlaw.theory.losses.protocol import PolicyLoss


def make_loss(name: str, **settings: Any) -> PolicyLoss:
    """Build a policy loss.

    Args:
        name: In `LOSSES`, or "module:Class" or "path/to/file.py:Class" from outside.
        settings: `clip_low`, `clip_high`, `dual_clip`, `aggregation`; what is None or left out is
            as in the loss's source.

    Raises:
        CovlawError: for an unknown loss or setting (with near matches), or a bad value.
    """
    cls = find_loss(name)
    known = tuple(inspect.signature(cls).parameters)
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of loss {name!r}", setting, known)
    return cls(**{key: value for key, value in settings.items() if value is not None})


def effective_weight(
    advantage: Numbers,
    log_ratio: Numbers,
    mask: Numbers | None = None,
    clip_low: float | None = None,
    clip_high: float | None = None,
    dual_clip: float | None = None,
    loss: str = "ppo",
) -> Tensor:
    """W of a policy loss, so that −∇loss = E_old[W ∇log π_θ] (T24).

    For PPO, W = ρ·A·1[not clipped]; the others' formulas are in `LOSSES`. A constant of the loss:
    no gradient flows through it.

    Args:
        advantage: (N,), or (N, T) with a token-level `log_ratio`.
        log_ratio: (N,) sequence-level log π_θ − log π_old, or (N, T) token-level with `mask`.
        mask: (N, T) true on completion tokens; entries elsewhere are never read.
        clip_low: Lower range ε_low in [0, 1]; None: the loss's own, 0.2 for PPO.
        clip_high: Upper range ε_high ≥ 0; None: likewise.
        dual_clip: Bound c > 1 on ρ where A < 0, or None.
        loss: Name in `LOSSES`, with the aggregation of its source.

    Returns:
        (N,) float64; token-level weights are averaged over the completion's tokens, so that
        W = s at ρ ≡ 1 on either level: A for PPO, A/L for GSPO. A completion without tokens
        gets 0.

    Raises:
        CovlawError: for an unknown loss, clip ranges outside their domain, shapes that do not
            fit, a missing mask where lengths matter, and weights that are not finite (NaN in a
            completion, or an unclipped ratio that overflows).
    """
    settings = {"clip_low": clip_low, "clip_high": clip_high, "dual_clip": dual_clip}
    return make_loss(loss, **settings).weight(advantage, log_ratio, mask)
