"""An example of global whitening gone wrong, and the feedback gain ∂y_j/∂λ_j (T38, F8, F9)."""

import torch
from torch import Tensor

from covlaw.theory.estimators.prompt_covariances import PromptCovariances

WITHIN = [[1.0, 1.0], [1.0, 2.0]]
BETWEEN = (20.0, 0.0)
TARGETS = (0.5, 0.5)
FEASIBLE_WEIGHTS = (0.05, 0.95)
"""C, the diagonal of B, c, and weights that exceed c: y = (.716, 1.396)."""


def example() -> PromptCovariances:
    """Two equiprobable prompts with covariance C each and means ±√20 in the first reward."""
    matrices = torch.tensor(WITHIN, dtype=torch.float64).expand(1, 2, 2, 2)
    spread = torch.tensor(BETWEEN, dtype=torch.float64).sqrt()
    means = torch.stack([spread, -spread])[None]
    half = torch.full((1, 2), 0.5, dtype=torch.float64)
    return PromptCovariances(matrices, half, means, torch.zeros_like(means))


def example_targets() -> Tensor:
    """C: (1, 2)."""
    return torch.tensor([TARGETS], dtype=torch.float64)


def own_gains(within: Tensor, total: Tensor, weights: Tensor) -> Tensor:
    """∂y_j/∂λ_j = [C_jj·λ'Σλ − (Cλ)_j(Σλ)_j]/(λ'Σλ)^{3/2} of y = Cλ/√(λ'Σλ): (..., M) (T38).

    Negative iff (Cλ)_j(Σλ)_j > C_jj·λ'Σλ; never where Σ = C, by Cauchy–Schwarz.
    """
    product, spread = ((m @ weights[..., None])[..., 0] for m in (within, total))
    variance = (spread * weights).sum(-1, keepdim=True)
    own = within.diagonal(dim1=-2, dim2=-1)
    return (own * variance - product * spread) / variance**1.5


def gain_size(within: Tensor, total: Tensor, weights: Tensor) -> Tensor:
    """Scale on which a computed gain rounds: (..., M)."""
    own = within.diagonal(dim1=-2, dim2=-1)
    deviation = own.sqrt()
    spread = total.diagonal(dim1=-2, dim2=-1).sqrt()
    length = (weights * spread).sum(-1, keepdim=True)
    reach = (weights * deviation).sum(-1, keepdim=True)
    variance = ((total @ weights[..., None])[..., 0] * weights).sum(-1, keepdim=True)
    amplified = length.square() / variance
    return (own + deviation * reach * spread * length / variance) / variance.sqrt() * amplified
