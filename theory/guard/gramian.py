"""Gramians from sampled gradients: unbiased from two halves, and how far to trust them (T62)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.products import gramian_of


class ShrunkGramian(NamedTuple):
    """A positive semidefinite estimate between the crossed and the plain Gramian."""

    gram: Tensor
    """(M, M) symmetric positive semidefinite."""
    share: Tensor
    """() in [0, 1], weight of the plain Gramian: 1 where the crossed one is all noise."""
    clipped: Tensor
    """() sum of the negative eigenvalues that were set to 0, relative to the trace."""


def crossed_products(first: Tensor, second: Tensor, metric: Tensor | None = None) -> Tensor:
    """X_jk = ĝ_j^A'P ĝ_k^B of gradients from two disjoint halves of the samples: (M, M) (T62).

    E[X_jk] = g_j'P g_k, the diagonal included. Not symmetric: what X and X' differ by is noise.

    Args:
        first: (M, D) from half A.
        second: (M, D) from half B.
        metric: (D,) P or None for 1.

    Raises:
        CovlawError: on shapes that differ.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise CovlawError(
            f"gradients of the halves have shapes {tuple(first.shape)} and {tuple(second.shape)}: "
            "give (M, D) each, of the same objectives"
        )
    return gramian_of(first, second, metric)


def crossed_gramian(products: Tensor) -> Tensor:
    """(X + X')/2: unbiased for G, but not positive semidefinite (T62): (M, M)."""
    given = _square(products)
    return (given + given.T) / 2


def shrunk_gramian(products: Tensor, plain: Tensor) -> ShrunkGramian:
    """Shrink the crossed Gramian towards the plain one by its error, and clip its spectrum.

    (1 − w)·(X + X')/2 + w·plain with w = min(1, error²/‖plain − crossed‖²), the weight of least
    squared error when `plain` errs by its bias and the crossed one by its noise (Ledoit and Wolf
    2004), both in correlations of the plain one. The noise is read off X − X', which has mean 0:
    an entry's variance is that of (X_jk − X_kj)/√2, half of it once symmetrised, all of it on the
    diagonal. Too large a Gramian corrects too little; one too small, or indefinite, throws the step
    away: negative eigenvalues are set to 0 after the shrinkage, and `guard_step` bounds the rest.

    Args:
        products: (M, M) X of `crossed_products`.
        plain: (M, M) Gramian of the mean of both halves, positive semidefinite.

    Raises:
        CovlawError: on shapes that differ or entries that are not finite.
    """
    given, sure = _square(products), _square(plain)
    if given.shape != sure.shape:
        raise CovlawError(f"plain has shape {tuple(sure.shape)}, not {tuple(given.shape)}")
    count = len(given)
    norm = sure.diagonal().clamp(min=0.0).sqrt()
    unit = torch.where(norm > 0, norm, 1.0).outer(torch.where(norm > 0, norm, 1.0))
    skew = (given - given.T) / unit
    pairs = max(count * (count - 1) // 2, 1)
    variance = skew.square().sum() / (4 * pairs)  # of one entry of X
    # symmetrised entries off the diagonal have half of it
    error = variance * (count + count * (count - 1) / 2)
    apart = ((sure - crossed_gramian(given)) / unit).square().sum()
    small = not bool(apart > 0)
    share = torch.ones_like(apart) if small or count == 1 else (error / apart).clamp(max=1.0)
    mixed = (1 - share) * crossed_gramian(given) + share * sure
    values, vectors = torch.linalg.eigh(mixed / unit)
    lost = (-values).clamp(min=0.0).sum() / values.abs().sum().clamp(min=1e-300)
    psd = (vectors * values.clamp(min=0.0)) @ vectors.T * unit
    return ShrunkGramian((psd + psd.T) / 2, share, lost)


def sampled_gramian_bias(
    rewards: Tensor, mass: Tensor, squared_scores: Tensor, gram: Tensor, completions: int
) -> Tensor:
    """tr(P Cov(ĝ_j, ĝ_k)), what one prompt's plain sampled Gramian has too much: (M, M) (T62).

    ĝ_j = 1/(K−1) Σ_i (r_ij − r̄_j)(s_i − s̄), s = ∇log π, from the same K completions for all
    objectives: (E[A_jA_k|s|²] − G_jk)/K + (C_jk E|s|² + G_jk)/(K(K−1)), |s|² = s'Ps, C = Cov(r).
    So entries off the diagonal are biased too: conflict in the rewards looks larger than it is.
    With P prompts, average over prompts of share D_x: Σ_x D_x²·(this).

    Args:
        rewards: (n, M) of all completions of the prompt.
        mass: (n,) their probabilities.
        squared_scores: (n,) s'Ps.
        gram: (M, M) G_jk = g_j'P g_k of this prompt.
        completions: K ≥ 2.

    Raises:
        CovlawError: on K below 2.
    """
    if completions < 2:
        raise CovlawError(f"{completions} completions: an unbiased gradient needs 2 of a prompt")
    centred = rewards - mass @ rewards
    mixed = (centred * (mass * squared_scores)[:, None]).T @ centred
    spread = (centred * mass[:, None]).T @ centred * (mass @ squared_scores)
    return (mixed - gram) / completions + (spread + gram) / (completions * (completions - 1))


def _square(matrix: Tensor) -> Tensor:
    given = as_float64(matrix, "gramian")
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not given.shape[0]:
        raise CovlawError(f"a Gramian of shape {tuple(given.shape)}: give (M, M)")
    if not bool(torch.isfinite(given).all()):
        raise CovlawError("a Gramian has entries that are not finite: mend the gradients")
    return given
