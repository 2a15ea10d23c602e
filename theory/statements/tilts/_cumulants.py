"""Joint cumulants of rewards with a score: every order of a tilt's effect (T3, T4)."""

import math

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.tilts.tilt_problem import TiltProblem, tilt_problem


def joint_cumulants(
    values: Tensor,
    score: Tensor,
    orders: int,
    rows: Grouping,
) -> Tensor:
    """E_x κ_x(r_j, s, …, s) with n = 1, …, `orders` copies of s: (orders, M) (T3).

    The n-th derivative of E_{π_η} r_j at η = 0, for π_η ∝ π e^{ηs}. n = 1 is the covariance,
    n = 2 is Cov(r, (s − E s)²); from n = 3 on a cumulant is no longer a central moment.

    Args:
        values: (N, M) or (N,) rewards.
        score: (N,) s; the n-th row is in units of value × score^n.
        orders: How many, at least 1.
        rows: Their prompts and masses; samples stand for their empirical distribution.

    Raises:
        CovlawError: on `orders` below 1, and as `within_prompt_covariance`.
    """
    problem = tilt_problem(values, score, rows)
    return torch.einsum("p,npm->nm", problem.prompt_mass, prompt_cumulants(problem, orders))


def prompt_cumulants(problem: TiltProblem, orders: int) -> Tensor:
    """κ_x(r_j, s^{(n)}) of each prompt, n = 1, …, `orders`: (orders, P, M).

    E_{π_t} A = Σ_k ν_k t^k/k! / Σ_k μ_k t^k/k! with μ_k = E s̃^k and ν_k = E A s̃^k; multiplying
    out, κ_n = ν_n − Σ_{k=2}^{n} (n choose k) μ_k κ_{n−k}.

    Raises:
        CovlawError: on `orders` below 1.
    """
    if orders < 1:
        raise CovlawError(f"orders is {orders}: ask for at least the first joint cumulant")
    power = problem.score ** torch.arange(orders + 1)[:, None]  # (n + 1, N)
    weight = problem.mass * power
    moments = problem.groups.sum(weight.T).T  # μ_k, (n + 1, P)
    mixed = problem.groups.sum((weight[:, :, None] * problem.advantage).transpose(0, 1))
    cumulants = torch.zeros_like(mixed).transpose(0, 1)  # κ_0 = 0, as E A = 0
    for n in range(1, orders + 1):
        binomial = moments.new_tensor([math.comb(n, k) for k in range(2, n + 1)])
        lower = (binomial[:, None] * moments[2 : n + 1])[:, :, None] * cumulants[: n - 1].flip(0)
        cumulants[n] = mixed[:, n] - lower.sum(0)
    return cumulants[1:]


def series_tail(reward_range: Tensor, strength: float, terms: int) -> Tensor:
    """Bound |Σ_{n>terms} η^n/n! κ(r, s^{(n)})|, elementwise in R: the rest of a tilt's series (T3).

    On |t| = h < π/S every E e^{ts} keeps |E e^{ts}| ≥ cos(hS/2)·E|e^{ts}|, so E_{π_t} of
    r − (its midrange) stays below (R/2)/cos(hS/2) and Cauchy's estimate bounds each coefficient by
    that over h^n. Summed with q = |η|/h: (R/2)/cos(hS/2)·q^{terms+1}/(1 − q), at
    hS = π(terms + 1)/(terms + 2), which nearly minimises it; inf where |η| ≥ h.

    Args:
        reward_range: R, the range of each reward within a prompt; any shape.
        strength: |η|·S, S the score's range within a prompt; below π the series converges.
        terms: Terms kept, at least 1.
    """
    radius = math.pi * (terms + 1) / (terms + 2)
    ratio = abs(strength) / radius
    if ratio >= 1:
        return torch.full_like(reward_range, math.inf)
    factor = ratio ** (terms + 1) / (1 - ratio) / (2 * math.cos(radius / 2))
    return factor * reward_range
