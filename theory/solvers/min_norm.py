"""The min-norm point: weights on the simplex that minimise λ'Gλ (MGDA in any geometry; T31)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.solvers.wolfe import correlation, least_norm_weights, value_and_gap

PSD_TOLERANCE = 1e-6
"""Largest accepted error of an inner product, relative to both norms: float32 sums err by 1e-7."""


class MinNorm(NamedTuple):
    """A least-norm convex combination, with its certificate."""

    weights: Tensor
    """(..., M) λ ≥ 0, sum 1; one of the minimisers where gradients are dependent."""
    value: Tensor
    """(...) v = λ'Gλ, in units of G."""
    gap: Tensor
    """(...) max_j (v − (Gλ)_j)/(s(s + ‖g_j‖)), s = Σ_k λ_k‖g_k‖: 0 at a minimiser, where rounding
    leaves some M·2^-53 whatever the norms. A convex λ'Gλ is within 2·max_j(v − (Gλ)_j) of v*."""


def min_norm_weights(gram: Tensor) -> Tensor:
    """Argmin of λ'Gλ over the simplex: (..., M); see `min_norm_point`.

    Raises:
        CovlawError: as `min_norm_point`.
    """
    return min_norm_point(gram).weights


def min_norm_point(gram: Tensor) -> MinNorm:
    """Least-norm convex combination of gradients from their Gramian, or of rewards from C (T31).

    min λ'Gλ over λ ≥ 0, Σλ = 1. Optimal iff (Gλ)_j ≥ λ'Gλ for all j, with equality on the support.

    Args:
        gram: (..., M, M) symmetric positive semidefinite, e.g. inner products of M gradients or a
            covariance matrix; a leading batch is solved at once. Any scale; in float64. Among
            others or in a batch of one, a Gramian has the same weights to the last bit; without a
            batch dimension it takes a shorter way, which agrees to rounding.

    Raises:
        CovlawError: if it is not square or not finite, or not symmetric positive semidefinite to
            within `PSD_TOLERANCE` of the norms.
    """
    given = as_gramian(gram)
    batch, count = given.shape[:-2], given.shape[-1]
    flat = given.reshape(-1, count, count)
    # powers of two: the answer does not depend on the scale, to the last bit
    exponent = torch.frexp(flat.diagonal(dim1=1, dim2=2).amax(1)).exponent.clamp(-1000, 1000)
    exponent = exponent.to(flat)  # of integers torch 2.4 makes a float32 power
    scaled = torch.ldexp(flat, -exponent[:, None, None])
    weights = least_norm_weights(scaled, alone=not batch)
    value, gap = value_and_gap(scaled, weights)
    value = torch.ldexp(value, exponent)
    return MinNorm(weights.reshape(*batch, count), value.reshape(batch), gap.amax(1).reshape(batch))


def as_gramian(gram: Any) -> Tensor:
    """Return a Gramian (..., M, M) as symmetric float64; errors as `min_norm_point`."""
    given = as_float64(gram, "gram")
    if given.ndim < 2 or given.shape[-1] != given.shape[-2] or given.shape[-1] == 0:
        raise CovlawError(f"gram has shape {tuple(given.shape)}: give a square matrix (M, M)")
    if not bool(torch.isfinite(given).all()):
        raise CovlawError("gram has entries that are not finite: mend the gradients or rewards")
    norm = given.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
    size = norm[..., :, None] * norm[..., None, :]
    skew = (given - given.mT).abs() > 2 * PSD_TOLERANCE * size
    lowest = torch.linalg.eigvalsh(correlation(given / 2 + given.mT / 2))[..., 0]
    allowed = -PSD_TOLERANCE * given.shape[-1]
    if bool(skew.any()) or bool((lowest < allowed).any()):
        raise CovlawError(
            "gram is not symmetric positive semidefinite (smallest eigenvalue of its correlations "
            f"{lowest.min().item():.3g}): give inner products of gradients, or a covariance matrix"
        )
    return given / 2 + given.mT / 2
