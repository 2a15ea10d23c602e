"""Whether some weights raise every objective at once, by a linear programme (T30–T32).

λ ≥ 0 with Cλ > 0 exists iff the matrix game with pay-off C has a positive value
V = max_{λ in simplex} min_j (Cλ)_j; iff the min-norm value v* = min λ'Cλ is positive, since
v* ≤ V ≤ √(v* max_j C_jj).
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_array, hstack
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError


class Game(NamedTuple):
    """The max-margin weights, with certified bounds of the value."""

    weights: Tensor
    """(..., M) λ on the simplex."""
    value: Tensor
    """(...) min_j (Cλ)_j/c_j, attained by these weights: V is at least this."""
    upper: Tensor
    """(...) max_k (C'μ)_k for the adversary's mix μ: V is at most this."""


def max_margin(matrix: Tensor, targets: Tensor | None = None) -> Game:
    """Weights on the simplex with the largest least (Cλ)_j/c_j: a linear programme (T31).

    All problems of a batch are one block-diagonal programme.

    Args:
        matrix: (..., M, M) C, entries of comparable size (see `correlation` in `wolfe`).
        targets: (..., M) c > 0, or None for 1.

    Raises:
        CovlawError: on a matrix that is not square or not finite, or targets that are not
            positive.
    """
    payoff = _payoff(matrix, targets)
    batch, count = payoff.shape[:-2], payoff.shape[-1]
    flat = payoff.reshape(-1, count, count)
    size = flat.abs().amax((1, 2))
    size = torch.where(size > 0, size, 1.0)
    weights, mix = _linear_programme((flat / size[:, None, None]).cpu().numpy())
    value = (flat @ weights[..., None])[..., 0].amin(1)
    upper = (flat.mT @ mix[..., None])[..., 0].amax(1)
    return Game(weights.reshape(*batch, count), value.reshape(batch), upper.reshape(batch))


def _linear_programme(payoff: np.ndarray) -> tuple[Tensor, Tensor]:
    """Both players' optimal mixes (B, M) of games (B, M, M)."""
    games, count = payoff.shape[:2]
    # variables: every game's λ, then every game's value t; minimise −Σt
    rows = block_diag(list(-payoff), format="csr")
    values = csr_array(np.kron(np.eye(games), np.ones((count, 1))))
    totals = hstack([np.kron(np.eye(games), np.ones((1, count))), csr_array((games, games))])
    found = linprog(
        np.concatenate([np.zeros(games * count), -np.ones(games)]),
        A_ub=hstack([rows, values]),
        b_ub=np.zeros(games * count),
        A_eq=totals,
        b_eq=np.ones(games),
        bounds=[(0, None)] * (games * count) + [(None, None)] * games,
        method="highs-ds",
    )
    if found.x is None:
        raise CovlawError(f"the linear programme was not solved ({found.message}): rescale rewards")
    weights = found.x[: games * count].reshape(games, count)
    return _simplex(weights), _simplex(-found.ineqlin.marginals.reshape(games, count))


def _simplex(rows: np.ndarray) -> Tensor:
    mix = torch.as_tensor(rows, dtype=torch.float64).clamp(min=0.0)
    return mix / mix.sum(1, keepdim=True)


def _payoff(matrix: Tensor, targets: Tensor | None) -> Tensor:
    matrix = as_float64(matrix, "matrix")
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or not matrix.numel():
        raise CovlawError(f"matrix has shape {tuple(matrix.shape)}: give (M, M)")
    if not bool(torch.isfinite(matrix).all()):
        raise CovlawError("matrix has entries that are not finite: mend the rewards")
    if targets is None:
        return matrix
    targets = as_float64(targets, "targets")
    if not bool((targets > 0).all()):
        raise CovlawError("targets must be > 0: leave objectives without target out")
    return matrix / targets[..., :, None]
