"""Plain gradient ascent of many softmax bandits at once (T44)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements.convergence._softmax_rows import SoftmaxRows

STEPS = 40


class Path(NamedTuple):
    """Plain gradient ascent: T + 1 policies of each row."""

    gap: Tensor
    """(T + 1, B) Σ π_a Δ_a."""
    slope: Tensor
    """(T + 1, B) |∇J|."""
    best: Tensor
    """(T + 1, B) π(a*), a* the best arm that is likeliest at the start."""
    error: Tensor
    """(T + 1, B) relative rounding of each of them."""


def ascend(rows: SoftmaxRows, steps: int = STEPS) -> Path:
    """Follow z ← z + γ∇J."""
    log_prob, gaps, slopes, best, sizes = rows.log_prob, [], [], [], []
    star = torch.where(rows.shortfall == 0, log_prob, -torch.inf).argmax(1, keepdim=True)
    for _ in range(steps + 1):
        mass = log_prob.exp()
        gap = (mass * rows.shortfall).sum(1)
        gradient = mass * (gap[:, None] - rows.shortfall)
        gaps.append(gap)
        slopes.append(gradient.norm(dim=1))
        best.append(mass.gather(1, star)[:, 0])
        sizes.append(torch.where(mass > 0, log_prob.abs(), 0.0).amax(1))
        log_prob = (log_prob + rows.step[:, None] * gradient).log_softmax(1)
    # each step rounds a logit by |log π| + γ|∇J|, which moves a probability by twice that factor
    operations = 8 * (rows.log_prob.shape[1] + 8)
    error = rounding(4 * (torch.stack(sizes) + 8), operations).cumsum(0)
    return Path(torch.stack(gaps), torch.stack(slopes), torch.stack(best), error)
