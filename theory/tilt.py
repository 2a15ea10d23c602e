"""The exponential tilt π_η ∝ π e^{ηs} of an enumerated policy (A1)."""

import torch
from torch import Tensor

from covlaw.theory.groups import group_by_prompt


def tilt_log_ratio(score: Tensor, eta: float | Tensor, prompt: Tensor, mass: Tensor) -> Tensor:
    """Log π_η/π of each completion (N,): η·s − log E_{π(.|x)} e^{ηs}, stable for any η·s.

    Args:
        score: (N,) s, any finite values; not read where `mass` is 0.
        eta: Tilt strength, a scalar of either sign.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities under π, summing to 1 within a prompt.
    """
    groups = group_by_prompt(prompt)
    exponent = eta * score.to(torch.float64)
    top = torch.zeros_like(groups.counts, dtype=torch.float64).scatter_reduce(
        0, groups.position, torch.where(mass > 0, exponent, -torch.inf), "amax", include_self=False
    )
    shifted = torch.where(mass > 0, exponent - groups.spread(top), torch.zeros_like(exponent))
    log_normaliser = groups.sum(mass * torch.exp(shifted)).log()
    return shifted - groups.spread(log_normaliser)
