"""How far a finite tilt can be from the covariance law: bounds on the remainder (T5)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.tilts.tilt_problem import tilt_problem

THIRD_CUMULANT = math.sqrt(3) / 18
"""Best constant in |Cov(r, (s − Es)²)| ≤ (√3/18)·R·S² (T4)."""

_SERIES_BELOW = 0.1  # there e^b − 1 − b cancels; 9 terms Σ b^k/(k+2)! leave 2·0.1⁹/11! < u
_POWERS = torch.arange(9)
_COEFFICIENTS = torch.tensor([1 / math.factorial(k + 2) for k in range(9)], dtype=torch.float64)


class RemainderBounds(NamedTuple):
    """Two bounds on |Δ_j − η·C_j|, (M,) each."""

    ranges: Tensor
    """(√3/36)·η²·E_x[R_x S_x²]; the constant is optimal as η → 0."""
    variance: Tensor
    """η²·E_x[R_x Var_x(s) φ(|η| S_x)]."""


def phi(b: Tensor) -> Tensor:
    """φ(b) = (e^b − 1 − b)/b², increasing, φ(0) = 1/2: elementwise, float64, either sign of b."""
    b = b.to(torch.float64)
    small = b.abs() < _SERIES_BELOW
    near, far = torch.where(small, b, 0.0), torch.where(small, 1.0, b)
    series = near[..., None] ** _POWERS.to(b.device) @ _COEFFICIENTS.to(b.device)
    return torch.where(small, series, (torch.expm1(far) - far) / far.square())


def remainder_bounds(
    values: Tensor,
    score: Tensor,
    eta: float,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> RemainderBounds:
    """Bound |E_{π_η} r_j − E_π r_j − η·E_x Cov_x(r_j, s)| for one η of either sign (T5).

    Args:
        values: (N, M) or (N,) rewards.
        score: (N,) s.
        eta: Tilt strength, in units of 1/s.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities, or None for the empirical distribution of samples.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: as `within_prompt_covariance`.
    """
    problem = tilt_problem(values, score, Grouping(prompt, mass, prompt_mass))
    variance = problem.groups.sum(problem.mass * problem.score.square())
    spread = (problem.prompt_mass * variance)[:, None] * problem.advantages.range
    growth = phi(abs(eta) * problem.scores.range)[:, None]  # overflows to inf beyond e^709
    return RemainderBounds(
        THIRD_CUMULANT / 2 * eta**2 * problem.bend,
        eta**2 * torch.where(spread > 0, spread * growth, 0.0).sum(0),
    )
