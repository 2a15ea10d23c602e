"""What the std of a finite group takes from the covariance law (T23)."""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def two_valued_shrink(probability: Tensor | float, completions: int) -> Tensor:
    """((K−1)/K)·E[sd_K]/sd of a two-valued score whose higher value has `probability` p (T23).

    GRPO divides a group's centred scores by the group's own std (ddof 1; groups of equal scores
    give 0). For a two-valued score that shows, on average, this factor times Cov_x(r, s)/sd_x(s):
    E sd_K = gap·Σ_c (K choose c) p^c (1−p)^{K−c} √(c(K−c)/(K(K−1))), sd = gap·√(p(1−p)). It
    rises to 1 with K; at p = .2: .28, .57, .79, .91 for K = 2, 4, 8, 16.

    Args:
        probability: p in (0, 1), any shape.
        completions: K ≥ 2.

    Raises:
        CovlawError: on K below 2, and probabilities outside (0, 1), where nothing varies.
    """
    if completions < 2:
        raise CovlawError(f"{completions} completions a group: a std needs at least 2")
    p = torch.as_tensor(probability, dtype=torch.float64)
    if not bool(((p > 0) & (p < 1)).all()):
        raise CovlawError("probability must be inside (0, 1): otherwise the score does not vary")
    size = completions
    high = torch.arange(1, size, dtype=torch.float64)
    ways = torch.tensor([math.comb(size, c) for c in range(1, size)], dtype=torch.float64)
    chance = ways * p[..., None] ** high * (1 - p[..., None]) ** (size - high)
    spread = (high * (size - high) / (size * (size - 1))).sqrt()
    return (size - 1) / size * (chance @ spread) / (p * (1 - p)).sqrt()
