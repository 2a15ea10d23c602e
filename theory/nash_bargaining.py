"""The Nash bargaining weights of a Gramian: every objective gains in inverse proportion to them."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.min_norm import min_norm_point, min_norm_weights
from covlaw.theory.rounding import rounding
from covlaw.theory.validation import as_float64
from covlaw.theory.wolfe import correlation

STEPS = 200
"""Newton steps at most; a dozen suffice unless some convex combination nearly vanishes."""


class Bargain(NamedTuple):
    """Weights, with their certificate."""

    weights: Tensor
    """(M,) α/Σα; 0 where a gradient is 0, equal where all are."""
    residual: Tensor
    """() max_j |α_j(Gα)_j − 1| over the gradients that are not 0: 0 at the solution; infinite
    where no step raises them all, and their min-norm weights are returned instead."""


def nash_bargain(gram: Tensor) -> Bargain:
    """Solve Gα = 1/α, α > 0 (Navon et al. 2022): d = Σ_k α_k g_k has ⟨g_j, d⟩ = 1/α_j.

    That d maximises Σ_j log⟨g_j, d⟩ on a ball; α minimises the strictly convex ½α'Gα − Σ log α_j,
    here by damped Newton steps on the gradients' correlations, so that no norm matters. A minimum
    exists iff no convex combination of the gradients vanishes.

    Args:
        gram: (M, M) inner products of the gradients; any scale.

    Raises:
        CovlawError: as `min_norm_point`.
    """
    gram = as_float64(gram, "gram")
    weights = torch.zeros_like(min_norm_weights(gram))  # which refuses what is no Gramian
    none, live = weights.new_tensor(torch.inf), gram.diagonal() > 0
    if not bool(live.any()):
        return Bargain(weights + 1 / len(weights), none)
    angle, norm = correlation(gram)[live][:, live], gram.diagonal()[live].sqrt()
    start = min_norm_point(angle)
    if bool(start.value <= rounding(1.0, 16 * len(norm) + 64)):
        weights[live] = min_norm_weights(gram[live][:, live])
        return Bargain(weights, none)
    power = _newton(angle, (start.weights + 1 / len(norm)) / 2)
    weights[live] = power / (norm / norm.min())
    residual = (power * (angle @ power) - 1).abs().max()
    return Bargain(weights / weights.sum(), residual)


def _newton(angle: Tensor, start: Tensor) -> Tensor:
    """Minimise ½β'Cβ − Σ log β_j: self-concordant, so that a step of 1/(1 + decrement) is safe."""
    power = start * (len(start) / (start @ angle @ start)).sqrt()
    for _ in range(STEPS):
        excess = power * (angle @ power) - 1  # relative to β, where the curvature is at least 1
        curvature = power[:, None] * angle * power + torch.eye(len(power)).to(power)
        direction = torch.linalg.solve(curvature, excess)
        decrement = (excess @ direction).clamp(min=0.0).sqrt()
        power = power * (1 - direction / (1 + torch.where(decrement > 0.25, decrement, 0.0)))
        if decrement < 2.0**-27:  # the next one would be below the roundings of this one
            break
    return power
