"""A softmax bandit's gap beside its bounds: plain gradients, tilts, natural steps (T44, T46)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.kl_bandit import best_log_prob, divergence, natural_step, oscillation
from covlaw.theory.dynamics.softmax_convergence import (
    CURVATURE,
    progress,
    tilt_gap_bound,
    vanilla_gap_bound,
)
from covlaw.theory.statements.convergence._softmax_ascent import ascend
from covlaw.theory.statements.convergence._softmax_rows import SoftmaxRows
from covlaw.toys.measurements.gap_records import record

ARMS = 5
MEI_STEP, MEI_CONSTANT = 0.4, 5.0
"""Mei, Xiao, Szepesvári & Schuurmans (2020), Theorem 2: step 2/5, J* − J_t ≤ 5/(c²t), R = 1."""
BETA, SHARE = 0.2, 0.1
"""β in units of the reward range, and ηβ."""


def softmax_gaps(rng: np.random.Generator, cut: int) -> Iterator[dict[str, Any]]:
    """Follow one bandit of five arms, reward range 1, through four ways of ascent."""
    policy = torch.as_tensor(rng.normal(scale=0.5, size=ARMS)).log_softmax(0)
    reward = torch.as_tensor(rng.random(ARMS))
    below = reward.max() - reward
    shortfall = below / below.max()
    yield _vanilla("step 2/5", policy, shortfall, MEI_STEP, 5000 // cut)
    yield _vanilla("step 1/L", policy, shortfall, 1 / CURVATURE, 5000 // cut)
    yield _tilted(policy, shortfall, 40 // cut)
    yield _regularised((8 * policy).log_softmax(0), shortfall, 60 // cut)


def _vanilla(
    case: str, policy: Tensor, shortfall: Tensor, step: float, steps: int
) -> dict[str, Any]:
    """Plain gradients; false: the geometric rate of the PL constant at the start (T45)."""
    pace = torch.full((1,), step, dtype=torch.float64)
    path = ascend(SoftmaxRows(policy[None], shortfall[None], pace), steps)
    gap, slope, best = path.gap[:, 0], path.slope[:, 0], path.best[:, 0]
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    least = best.cummin(0).values[:-1]
    bounds = {"ours": vanilla_gap_bound(1.0, least, t, step)}
    if step == MEI_STEP:
        bounds["classic"] = MEI_CONSTANT / (least.square() * t)
    else:
        bounds["false"] = gap[0] * (1 - progress(1.0, step) * slope[0].square() / gap[0]) ** t
    return record("softmax", case, gap[1:], bounds, float(path.error[-1, 0]), first=1)


def _tilted(policy: Tensor, shortfall: Tensor, steps: int) -> dict[str, Any]:
    """Tilts of strength 1 each; the bound is known (multiplicative weights)."""
    t = torch.arange(steps + 1, dtype=torch.float64)
    mass = (policy - t[:, None] * shortfall).log_softmax(1).exp()
    bound = {"classic": tilt_gap_bound(policy.exp(), shortfall, t)}
    size = float(policy.abs().max()) + 2 * steps + ARMS + 16
    return record("tilts", "η = 1/R", mass @ shortfall, bound, float(rounding(size, 8)))


def _regularised(policy: Tensor, shortfall: Tensor, steps: int) -> dict[str, Any]:
    """Natural steps on E s − β·KL from a policy far from π*; the reference is uniform."""
    score, log_prob, gap = -shortfall[None], policy[None], []
    reference = torch.zeros_like(score).log_softmax(1)
    best = best_log_prob(score, reference, BETA)
    first = oscillation(log_prob, best)
    for _ in range(steps + 1):
        gap.append(BETA * divergence(log_prob, best)[0])
        log_prob = natural_step(log_prob, score, reference, BETA, SHARE / BETA)
    spread = (1 - SHARE) ** torch.arange(steps + 1) * first
    error = float(rounding(float(first) + 16, 64 * (steps + 1)))
    bounds = {"ours": BETA / 8 * spread.square()}
    return record("KL", "ηβ = 1/10", torch.stack(gap), bounds, error)
