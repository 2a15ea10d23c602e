"""Two estimates from the same prompts: their errors are correlated."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError


def prompt_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Correlation (M,) of the errors of two means over the same prompts.

    Prompts differ in what an update does to them, and both means share which prompts were drawn:
    their errors have the correlation of the prompts' values. It is what
    `solvers.york` asks for, best averaged over many pairs: of one with P prompts it
    has an error near 1/√P. 0 where either does not vary.

    Args:
        first: (P, M), e.g. a forecast's `Covariance.per_prompt`.
        second: (P, M), e.g. measured changes, in the same order of prompts.

    Raises:
        CovlawError: on shapes that differ.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise CovlawError(
            f"values of {tuple(first.shape)} and {tuple(second.shape)}: give (P, M) of the same "
            "prompts twice"
        )
    one, two = (x - x.mean(0) for x in (first, second.to(first)))
    size = (one.square().sum(0) * two.square().sum(0)).sqrt()
    return torch.where(size > 0, (one * two).sum(0) / torch.where(size > 0, size, 1.0), 0.0)
