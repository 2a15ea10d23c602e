"""The Nash bargaining weights of a Gramian: every objective gains in inverse proportion to them."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.groups import by_pattern
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers.min_norm import min_norm_point, min_norm_weights
from covlaw.theory.solvers.wolfe import correlation, squared_norms

STEPS = 200
"""Newton steps at most; a dozen suffice unless some convex combination nearly vanishes."""


class Bargain(NamedTuple):
    """Weights, with their certificate."""

    weights: Tensor
    """(..., M) α/Σα; 0 where a gradient is 0, equal where all are."""
    residual: Tensor
    """(...) max_j |α_j(Gα)_j − 1| over the gradients that are not 0: 0 at the solution; infinite
    where no step raises them all, and their min-norm weights are returned instead."""


def nash_bargain(gram: Tensor) -> Bargain:
    """Solve Gα = 1/α, α > 0 (Navon et al. 2022): d = Σ_k α_k g_k has ⟨g_j, d⟩ = 1/α_j.

    That d maximises Σ_j log⟨g_j, d⟩ on a ball; α minimises the strictly convex ½α'Gα − Σ log α_j,
    here by damped Newton steps on the gradients' correlations, so that no norm matters. A minimum
    exists iff no convex combination of the gradients vanishes.

    Args:
        gram: (..., M, M) inner products of the gradients, any scale; a leading batch is solved at
            once.

    Raises:
        CovlawError: as `min_norm_point`.
    """
    given = as_float64(gram, "gram")
    batch, count = min_norm_weights(given).shape[:-1], given.shape[-1]  # refuses what is no Gramian
    flat = given.reshape(-1, count, count)
    weights, residual = torch.zeros_like(flat[:, 0]), torch.full_like(flat[:, 0, 0], torch.inf)
    for rows, live in by_pattern(squared_norms(flat) > 0):
        if bool(live.any()):
            found = _bargain(flat[rows][:, live][:, :, live])
            weights[rows[:, None], live.nonzero()[:, 0]], residual[rows] = found
        else:
            weights[rows] = 1 / count
    return Bargain(weights.reshape(*batch, count), residual.reshape(batch))


def _bargain(gram: Tensor) -> Bargain:
    """The bargain of gradients none of which is 0, (B, M, M)."""
    angle, norm = correlation(gram), squared_norms(gram).sqrt()
    start = min_norm_point(angle)
    possible = start.value > rounding(1.0, 16 * gram.shape[-1] + 64)
    weights, residual = torch.zeros_like(norm), torch.full_like(norm[:, 0], torch.inf)
    if not bool(possible.all()):
        weights[~possible] = min_norm_weights(gram[~possible])
    if bool(possible.any()):
        angle, norm = angle[possible], norm[possible]
        power = _newton(angle, (start.weights[possible] + 1 / gram.shape[-1]) / 2)
        unscaled = power / (norm / norm.amin(1, keepdim=True))
        weights[possible] = unscaled / unscaled.sum(1, keepdim=True)
        residual[possible] = (power * _along(angle, power) - 1).abs().amax(1)
    return Bargain(weights, residual)


def _newton(angle: Tensor, start: Tensor) -> Tensor:
    """Minimise ½β'Cβ − Σ log β_j: self-concordant, so that a step of 1/(1 + decrement) is safe."""
    count = start.shape[1]
    size = (start * _along(angle, start)).sum(1, keepdim=True)
    power = start * (count / size).sqrt()
    solved, rows, now = power.clone(), torch.arange(len(power), device=power.device), power
    for _ in range(STEPS):
        excess = now * _along(angle, now) - 1  # relative to β, where the curvature is at least 1
        curvature = now[:, :, None] * angle * now[:, None] + torch.eye(count).to(now)
        direction = torch.linalg.solve(curvature, excess)
        decrement = (excess * direction).sum(1, keepdim=True).clamp(min=0.0).sqrt()
        now = now * (1 - direction / (1 + torch.where(decrement > 0.25, decrement, 0.0)))
        solved[rows] = now
        left = decrement[:, 0] >= 2.0**-27  # else the next step is below this one's roundings
        if not bool(left.any()):
            break
        rows, now, angle = rows[left], now[left], angle[left]
    return solved


def _along(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Each matrix (B, M, M) times its vector (B, M)."""
    return (matrices @ vectors[..., None])[..., 0]
