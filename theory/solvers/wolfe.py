"""Wolfe's active-set method for the point of least norm in a polytope, on a batch of Gramians.

Wolfe 1976, "Finding the nearest point in a polytope": the support grows by the row that violates
the optimality conditions most, and shrinks where the least-norm point of its affine hull leaves
the simplex.
"""

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers._wolfe_alone import least_norm_point

_CYCLES = 50
"""Limit on the cycles of the method, a row; random problems take 1 to 3."""


def least_norm_weights(gram: Tensor, *, alone: bool = False) -> Tensor:
    """Weights (B, M) on the simplex that minimise λ'Gλ to rounding, for (B, M, M) of scale 1.

    `alone` says that there is one problem and never will be more. A batch of one isn't that: runs
    of a study drop out of their batch, and what is left must go on as before, bit for bit.
    """
    if alone and gram.device.type == "cpu":
        return torch.as_tensor(least_norm_point(gram[0].detach().numpy(), _CYCLES))[None]
    return _polished(gram, _wolfe(_convex(gram)))


def _convex(gram: Tensor) -> Tensor:
    """Add to each squared norm what outweighs the rounding that makes nearly equal rows concave.

    Moves every relative gap by at most that share, 4M·2^-53 for a Gramian exact to rounding.
    """
    lowest = torch.linalg.eigvalsh(correlation(gram))[:, 0]
    ridge = torch.maximum(-2 * lowest, rounding(1.0, 4 * gram.shape[-1]))
    return gram + torch.diag_embed(ridge[:, None] * squared_norms(gram))


def _polished(gram: Tensor, weights: Tensor) -> Tensor:
    """Solve once more on the support found, without the ridge; keep what has the smaller gap."""
    target, singular = _affine_minimum(gram, weights > 0)
    fits = ~singular & ((target > 0) | (weights == 0)).all(1)
    gaps = [value_and_gap(gram, w)[1].amax(1) for w in (weights, target)]
    return torch.where((fits & (gaps[1] < gaps[0]))[:, None], target, weights)


def _wolfe(gram: Tensor) -> Tensor:
    """Run Wolfe's method on (B, M, M): (B, M). A problem leaves the loop once it is solved."""
    count = gram.shape[-1]
    weights = torch.nn.functional.one_hot(squared_norms(gram).argmin(1), count).to(gram)
    best, least = weights.clone(), value_and_gap(gram, weights)[1].amax(1)
    rows = torch.arange(gram.shape[0], device=gram.device)
    support, unsolved = _with_worst_row(gram, weights, weights > 0)
    # finite in exact arithmetic; the limit is for values that tie to rounding
    for _ in range(_CYCLES * count):
        rows, gram, weights, support = (t[unsolved] for t in (rows, gram, weights, support))
        if not rows.numel():
            break
        weights, support, stuck, inside = _towards_affine_minimum(gram, weights, support)
        gap = value_and_gap(gram, weights)[1].amax(1)
        better = gap < least[rows]
        best[rows[better]], least[rows[better]] = weights[better], gap[better]
        grown, unsolved = _with_worst_row(gram, weights, support)
        support = torch.where(inside[:, None], grown, support)
        unsolved = (unsolved | ~inside) & ~stuck
    return best


def _with_worst_row(gram: Tensor, weights: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    """Each support with the row that violates optimality most, and whether one does (B,)."""
    gap = value_and_gap(gram, weights)[1].masked_fill(support, -torch.inf)
    worst, index = gap.max(1)
    return support.scatter(1, index[:, None], True), worst > rounding(1.0, 4 * gram.shape[-1] + 8)


def _towards_affine_minimum(
    gram: Tensor, weights: Tensor, support: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One minor cycle: new weights and support; whether no step was possible; whether inside."""
    target, singular = _affine_minimum(gram, support)
    moved, kept, stuck, inside = minor_cycle(weights, target, support, singular)
    return moved / moved.sum(1, keepdim=True), kept, stuck, inside


def minor_cycle(
    weights: Tensor, target: Tensor, support: Tensor, singular: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Go towards the support's optimum until a weight is 0, which then leaves it.

    Returns the new weights and support (B, M); whether no step was possible, and whether the
    optimum was reached (B,).
    """
    leaving = support & (target <= 0)
    ratio = torch.where(leaving, weights / (weights - target), torch.inf)
    step, first = ratio.min(1)
    inside = torch.isinf(step)
    stuck = singular | (step <= 0)  # rounding turned the row that has just entered away
    step = step.clamp(max=1.0).nan_to_num(0.0)
    moved = (weights + step[:, None] * (target - weights)).clamp(min=0.0)
    moved = torch.where(stuck[:, None], weights, torch.where(inside[:, None], target, moved))
    dropped = torch.nn.functional.one_hot(first, weights.shape[1]).bool() & ~inside[:, None]
    kept = support & ~dropped & (moved > 0)
    return torch.where(kept, moved, 0.0), kept, stuck, inside


def _affine_minimum(gram: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
    """Least-norm point of each support's affine hull (B, M), and where it is not unique (B,)."""
    norm = squared_norms(gram).sqrt()
    unit = norm.amin(1, keepdim=True) / torch.where(norm > 0, norm, 1.0)
    size, count = support.shape
    bordered = gram.new_zeros(size, count + 1, count + 1)
    both = support[:, :, None] & support[:, None, :]
    identity = torch.eye(count).to(gram)
    # correlations, so that rows round alike whatever their norms
    bordered[:, :count, :count] = torch.where(both, correlation(gram), identity)
    bordered[:, :count, count] = bordered[:, count, :count] = unit * support
    right = gram.new_zeros(size, count + 1)
    right[:, count] = 1.0
    solution, info = torch.linalg.solve_ex(bordered, right)
    target = solution[:, :count] * unit * support
    singular = (info != 0) | ~torch.isfinite(target).all(1)
    return torch.where(singular[:, None], 0.0, target), singular


def value_and_gap(gram: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """λ'Gλ (B,) and each row's relative gap (B, M)."""
    row = (gram @ weights[..., None])[..., 0]
    value = (weights * row).sum(-1)
    norm = squared_norms(gram).sqrt()
    length = (weights * norm).sum(-1, keepdim=True)
    gap = (value[:, None] - row) / (length * (length + norm))
    return value, torch.where(length > 0, gap, 0.0)


def correlation(gram: Tensor) -> Tensor:
    """Gramian of the unit vectors (..., M, M); rows of norm 0 stay 0."""
    norm = squared_norms(gram).clamp(min=0.0).sqrt()
    size = norm[..., :, None] * norm[..., None, :]
    return torch.where(size > 0, gram / torch.where(size > 0, size, 1.0), gram.sign())


def squared_norms(gram: Tensor) -> Tensor:
    """‖g_j‖²: (..., M)."""
    return gram.diagonal(dim1=-2, dim2=-1)
