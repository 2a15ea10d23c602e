"""What a scalarised optimum costs each objective (T48)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


class Sacrifice(NamedTuple):
    """Bounds on J_j^max − J_j(θ*), (..., M): what objective j could still gain on its own."""

    least: Tensor
    """|h_j|²/(2L_jλ_j²)."""
    most: Tensor
    """|h_j|²/(2μ_jλ_j²)."""


def interference(weights: Tensor, gradients: Tensor) -> Tensor:
    """h_j = Σ_{k≠j} λ_k ∇J_k, the pull of all others on objective j: (..., M, D).

    At a stationary point of Σ_k λ_k J_k it equals −λ_j ∇J_j.

    Args:
        weights: (..., M) λ.
        gradients: (..., M, D) ∇J_k(θ).
    """
    weighted = weights[..., None] * gradients
    others = 1 - torch.eye(weights.shape[-1], dtype=weights.dtype)
    return others @ weighted


def sacrifice_bounds(
    weights: Tensor, gradients: Tensor, mu: Tensor, smoothness: Tensor
) -> Sacrifice:
    """Sandwich J_j^max − J_j(θ*) at a stationary point θ* of Σ_k λ_k J_k (T48).

    Args:
        weights: (..., M) λ > 0.
        gradients: (..., M, D) ∇J_k(θ*).
        mu: (..., M) PL constants μ_j.
        smoothness: (..., M) L_j.

    Raises:
        CovlawError: unless every weight is positive.
    """
    _positive(weights)
    pull = (interference(weights, gradients) / weights[..., None]).square().sum(-1)
    return Sacrifice(pull / (2 * smoothness), pull / (2 * mu))


def regression_bound(weights: Tensor, headroom: Tensor) -> Tensor:
    """(1/λ_j) Σ_{k≠j} λ_k (J_k^max − J_k(θ_0)): the most that J_j can fall, (..., M) (T48).

    Holds wherever λ·J has not fallen: at a global maximiser, or after monotone ascent from θ_0.
    Not at a merely stationary point.

    Args:
        weights: (..., M) λ > 0.
        headroom: (..., M) J_k^max − J_k(θ_0) ≥ 0, e.g. with E_x max_y r_k for J_k^max.

    Raises:
        CovlawError: unless every weight is positive.
    """
    _positive(weights)
    others = 1 - torch.eye(weights.shape[-1], dtype=weights.dtype)
    return ((weights * headroom) @ others) / weights


def _positive(weights: Tensor) -> None:
    if not bool((weights > 0).all()):
        raise CovlawError(
            "an objective of weight 0 has no bound on its loss: leave it out, or give it a weight"
        )
