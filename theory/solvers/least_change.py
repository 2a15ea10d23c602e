"""The guard's quadratic programme: the least change of a step that keeps floors (T58).

min over μ ≥ 0 of ½μ'Gμ + μ·a, the dual of min ½|v − u|² subject to g_j·v ≥ b_j, with a = g·u − b.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers.min_norm import as_gramian
from covlaw.theory.solvers.wolfe import correlation, minor_cycle, squared_norms

_CYCLES = 50
"""Limit on the cycles of the method, a row; random problems take 1 to 3."""

MET = 1e-10
"""A floor counts as met to within this share of the largest distance that is asked or left."""


class LeastChange(NamedTuple):
    """The multipliers of the floors, with their certificate."""

    weights: Tensor
    """(..., M) μ ≥ 0; one of the solutions where gradients are dependent, 0 for a zero gradient."""
    shortfall: Tensor
    """(..., M) by how much each floor stays unmet, in its own units: 0 wherever one step can meet
    them all; else the vector of least Σ_j (shortfall_j/‖g_j‖)²."""
    feasible: Tensor
    """(...) whether one step can meet every floor."""
    gap: Tensor
    """(...) largest violation of the optimality conditions, w = a + shortfall + Gμ ≥ 0 and w_j = 0
    where μ_j > 0, in units of ‖g_j‖·(max_k |a_k|/‖g_k‖ + max_k μ_k‖g_k‖): rounding leaves some
    M·2^-53 at a solution."""


def guard_weights(gram: Any, effects: Any, floor: Any = 0.0) -> Tensor:
    """Weights μ ≥ 0 of the objectives' gradients in the least change that keeps floors: (..., M).

    argmin over μ ≥ 0 of ½μ'Gμ + μ·(e − b): u* = u + PΣ_k μ_k g_k is the step nearest to u with
    g_j·u* ≥ b_j (T58). `least_change` returns the certificate and what cannot be met as well.

    Args:
        gram: (..., M, M) G_jk = g_j'P g_k; a leading batch is solved at once.
        effects: (..., M) e_j = g_j·u, the first-order effect of the step, in units of reward.
        floor: b_j, a number, (M,) or (..., M): how far each may fall (< 0) or must rise (> 0).

    Raises:
        CovlawError: as `least_change`.
    """
    return least_change(gram, effects, floor).weights


def least_change(gram: Any, effects: Any, floor: Any = 0.0) -> LeastChange:
    """Solve the guard's quadratic programme, with its certificate (T58).

    By an active-set method (Lawson and Hanson 1974, ch. 23) on the correlations of the gradients,
    so that no norm matters. Where the floors cannot all be met (some b > 0 and Σ_k λ_k g_k = 0 for
    some λ ≥ 0), they are first lowered by the least that lets them be; this is the projection of
    the unmet part on {y ≥ 0, Gy = 0}, a programme of the same kind.

    Args:
        gram: (..., M, M) G_jk = g_j'P g_k, symmetric positive semidefinite, any rank and scale.
        effects: (..., M) e_j = g_j·u.
        floor: b_j, a number, (M,) or (..., M).

    Raises:
        CovlawError: on a Gramian as `min_norm_point`, and on effects or floors that are not
            finite or do not fit it.
    """
    given = as_gramian(gram)
    batch, count = given.shape[:-2], given.shape[-1]
    slack = (_fitting(effects, "effects", given) - _fitting(floor, "floor", given)).reshape(
        -1, count
    )
    flat = given.reshape(-1, count, count)
    norm = squared_norms(flat).clamp(min=0.0).sqrt()
    live = norm > 0
    unit = torch.where(live, norm, 1.0)
    distance = torch.where(live, slack / unit, 0.0)
    scale = distance.abs().amax(1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1.0)
    angle = correlation(flat)
    weights, gap, unmet = _solved_or_lowered(angle, distance / scale)
    # a zero gradient keeps its slack whatever the weights
    short = torch.where(live, unmet * scale * unit, (-slack).clamp(min=0.0))
    return LeastChange(
        torch.where(live, weights * scale / unit, 0.0).reshape(*batch, count),
        short.reshape(*batch, count),
        (short == 0).all(1).reshape(batch),
        gap.reshape(batch),
    )


def _fitting(values: Any, what: str, gram: Tensor) -> Tensor:
    given = as_float64(values, what, gram.device)
    try:
        wide = given.expand(gram.shape[:-1])
    except RuntimeError as error:
        raise CovlawError(
            f"{what} has shape {tuple(given.shape)} for a gram of shape {tuple(gram.shape)}: give "
            "one value an objective"
        ) from error
    if not bool(torch.isfinite(wide).all()):
        raise CovlawError(f"{what} has entries that are not finite: {given.flatten().tolist()[:8]}")
    return wide


def _solved_or_lowered(angle: Tensor, slack: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (B, M), gap (B,), and by how much floors had to be lowered (B, M); unit gradients.

    Only where the floors as they are leave a violation: a Gramian that is singular to rounding may
    well carry them.
    """
    weights, gap = _solved(angle, slack)
    unmet = torch.zeros_like(slack)
    rows = (_violation(angle, slack, weights) > MET).nonzero()[:, 0]
    if rows.numel():
        unmet[rows] = _unmet(angle[rows], slack[rows])
        weights[rows], gap[rows] = _solved(angle[rows], slack[rows] + unmet[rows])
    return weights, gap, unmet


def _unmet(angle: Tensor, slack: Tensor) -> Tensor:
    """Projection of −slack on {y ≥ 0, Gy = 0}: what no step can give, (B, M); 0 at full rank."""
    values, vectors = torch.linalg.eigh(angle)
    count = angle.shape[-1]
    # an eigenvalue below 0 shows how exact the Gramian is
    null = values <= torch.maximum(-4 * values[:, :1], rounding(1.0, 64 * count))
    null &= (squared_norms(angle) > 0).any(1, keepdim=True)
    basis = vectors * null[:, None]
    projector = basis @ basis.mT
    wanted = -(projector @ slack[..., None])[..., 0]
    norm = squared_norms(projector).clamp(min=0.0).sqrt()
    real = norm > rounding(1.0, 64 * count).sqrt()
    unit = torch.where(real, norm, 1.0)
    both = real[:, :, None] & real[:, None, :]
    scaled = torch.where(both, projector / (unit[:, :, None] * unit[:, None, :]), 0.0)
    pull, _ = _solved(scaled, torch.where(real, wanted / unit, 0.0))
    point = wanted + (projector @ (pull / unit)[..., None])[..., 0]
    return torch.where(point > rounding(1.0, 256 * count), point, 0.0)


def _solved(angle: Tensor, slack: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (B, M) and gap (B,) of a programme whose floors can be met, unit gradients."""
    count = angle.shape[-1]
    lowest = torch.linalg.eigvalsh(angle)[:, 0]
    ridge = torch.maximum(-2 * lowest, rounding(1.0, 4 * count))
    convex = angle + ridge[:, None, None] * torch.eye(count).to(angle)
    weights = _active_set(convex, slack)
    gap = _gap(angle, slack, weights)
    # once more on the support found, without the ridge
    target, singular = _on_support(angle, slack, weights > 0)
    sharper = _gap(angle, slack, target.clamp(min=0.0))
    keep = ~singular & (target >= 0).all(1) & (sharper < gap)
    return torch.where(keep[:, None], target, weights), torch.where(keep, sharper, gap)


def _active_set(gram: Tensor, slack: Tensor) -> Tensor:
    """Grow the support by the floor that is missed most; shrink it where a weight would be < 0."""
    count = gram.shape[-1]
    weights, support = torch.zeros_like(slack), torch.zeros_like(slack, dtype=torch.bool)
    best, least = weights.clone(), _gap(gram, slack, weights)
    rows = torch.arange(gram.shape[0], device=gram.device)
    support, unsolved = _with_most_missed(gram, slack, weights, support)
    for _ in range(_CYCLES * count):
        if not bool(unsolved.all()):
            left = (rows, gram, slack, weights, support)
            rows, gram, slack, weights, support = (t[unsolved] for t in left)
        if not rows.numel():
            break
        target, singular = _on_support(gram, slack, support)
        weights, support, stuck, inside = minor_cycle(weights, target, support, singular)
        gap = _gap(gram, slack, weights)
        better = gap < least[rows]
        best[rows[better]], least[rows[better]] = weights[better], gap[better]
        grown, unsolved = _with_most_missed(gram, slack, weights, support)
        support = torch.where(inside[:, None], grown, support)
        unsolved = (unsolved | ~inside) & ~stuck
    return best


def _with_most_missed(
    gram: Tensor, slack: Tensor, weights: Tensor, support: Tensor
) -> tuple[Tensor, Tensor]:
    """Each support with the floor outside it that is missed most, and whether one is (B,)."""
    now = slack + (gram @ weights[..., None])[..., 0]
    least, index = now.masked_fill(support, torch.inf).min(1)
    size = slack.abs().amax(1) + weights.amax(1)  # no sum: its bits depend on the batch
    allowed = rounding(1.0, 4 * gram.shape[-1] + 8) * size
    return support.scatter(1, index[:, None], True), least < -allowed


def _on_support(gram: Tensor, slack: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    """Weights that meet the support's floors exactly (B, M), and where they are not unique (B,)."""
    both = support[:, :, None] & support[:, None, :]
    matrix = torch.where(both, gram, torch.eye(gram.shape[-1]).to(gram))
    target, info = torch.linalg.solve_ex(matrix, torch.where(support, -slack, 0.0))
    singular = (info != 0) | ~torch.isfinite(target).all(1)
    return torch.where(singular[:, None], 0.0, target), singular


def _gap(gram: Tensor, slack: Tensor, weights: Tensor) -> Tensor:
    """Largest violation of the optimality conditions relative to what w is made of: (B,)."""
    wrong = _violation(gram, slack, weights)
    size = slack.abs().amax(1) + weights.amax(1)
    return torch.where(size > 0, wrong / torch.where(size > 0, size, 1.0), 0.0)


def _violation(gram: Tensor, slack: Tensor, weights: Tensor) -> Tensor:
    """Largest violation of w ≥ 0, and of w = 0 on the support: (B,)."""
    now = slack + (gram @ weights[..., None])[..., 0]
    wrong = torch.where(weights > 0, now.abs(), (-now).clamp(min=0.0))
    # a zero gradient's floor is not the weights' to meet
    return torch.where(squared_norms(gram) > 0, wrong, 0.0).amax(1)
