"""What a guard knows of its objectives: exactly, or from completions that it draws itself."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.guard import crossed_products, shrunk_gramian
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.supply import Snapshot

Weights = tuple[Tensor, ...]
"""(R, N, M) each: ∇J_j, or its estimate, is Σ_n weight_nj·∇log π(y_n|x_n); one for each part of
the completions."""


def exactly(now: Snapshot) -> Weights:
    """All completions, weighed by their probabilities."""
    return (now.share[..., None] * now.gap,)


def drawn(
    ensemble: PolicyEnsemble,
    now: Snapshot,
    rngs: list[np.random.Generator],
    samples: int,
    parts: int = 1,
) -> Weights:
    """K completions of each prompt, drawn by each run's own generator.

    ĝ_j = Σ_x D(x) 1/(K − 1) Σ_i (r_ij − r̄_j) ∇log π(y_i|x): unbiased, of each part alone.
    """
    place = places(ensemble, now, rngs, samples)
    return tuple(_weight(ensemble, part) for part in place.tensor_split(parts, 2))


def places(
    ensemble: PolicyEnsemble, now: Snapshot, rngs: list[np.random.Generator], samples: int
) -> Tensor:
    """Which completions of its list each prompt drew: (R, P, K)."""
    uniform = torch.stack([torch.from_numpy(r.random((ensemble.prompts, samples))) for r in rngs])
    cumulated = ensemble.by_prompt(now.mass).cumsum(2)
    place = torch.searchsorted(cumulated, uniform * cumulated[..., -1:], right=True)
    return place.clamp(max=cumulated.shape[2] - 1)


def crossed(first: Tensor, second: Tensor, metric: Tensor | None) -> Tensor:
    """Each run's shrunk crossed Gramian from the gradients of two halves: (R, M, M) (T62)."""
    rows = []
    for r, (a, b) in enumerate(zip(first, second, strict=True)):
        both, p = (a + b) / 2, None if metric is None else metric[r]
        plain = (both if p is None else both * p) @ both.T
        rows.append(shrunk_gramian(crossed_products(a, b, p), plain).gram)
    return torch.stack(rows)


def sampled_gramian(parts: tuple[Tensor, ...], *, shrunk: bool = True) -> Tensor:
    """Each run's Gramian from gradients (R, M, D) of samples, or of two halves: (R, M, M).

    Of halves the crossed one: shrunk, or (X + X')/2 with its negative eigenvalues set to 0 (T62).
    """
    first, last = parts[0], parts[-1]
    if len(parts) > 1 and shrunk:
        return crossed(first, last, None)
    products: Tensor = first @ last.mT
    if len(parts) == 1:
        return products
    values, vectors = torch.linalg.eigh((products + products.mT) / 2)
    found: Tensor = (vectors * values.clamp(min=0.0)[:, None]) @ vectors.mT
    return (found + found.mT) / 2


def frequency(ensemble: PolicyEnsemble, place: Tensor) -> Tensor:
    """Share of its prompt's draws (R, P, K) that each completion has: (R, N)."""
    size = ensemble.rewards.shape[1] // ensemble.prompts
    none = torch.zeros(*place.shape[:2], size, dtype=torch.float64)
    once = torch.full(place.shape, 1 / place.shape[2], dtype=torch.float64)
    return none.scatter_add(2, place, once).flatten(1)


def _weight(ensemble: PolicyEnsemble, place: Tensor) -> Tensor:
    """D(x)·(share of the draws)·(r_j − r̄_j)·K/(K − 1): (R, N, M)."""
    count, share = place.shape[2], frequency(ensemble, place)
    gap = ensemble.centred(ensemble.rewards, share)
    return (ensemble.prompt_share * share * count / (count - 1))[..., None] * gap
