"""∫_0^η of the tilted covariance by Gauss–Legendre quadrature, with a proved error (T2)."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.tilt_strengths import widest_range
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World

_NODES = 32


class Integral(NamedTuple):
    """A quadrature and a bound on its truncation error, (M,) each."""

    value: Tensor
    error: Tensor


def covariance_along_tilt(world: World, score: Tensor, eta: float) -> Integral:
    """∫_0^η E_x Cov_{π_t}(r_j, s) dt, all nodes in one call: a node's prompts are prompts apart.

    With a = π/(|η|S) the integrand is analytic where |Im t|·S ≤ π/2, that is in the Bernstein
    ellipse of parameter ϱ = a + √(a² + 1). There |E_t f| ≤ max|f|/cos(π/4) (the zero-free disc of
    T3), so |Cov_t(r, s)| ≤ M = (√2 + 2)·R·S/4, and n nodes err by at most
    (|η|/2)·(64/15)·M·ϱ^(2−2n)/(1 − ϱ^−2) (Trefethen 2019, Approximation Theory and Approximation
    Practice, Theorem 19.3).
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    prompts, index = torch.unique(world.prompt, return_inverse=True)
    apart = (index + prompts.shape[0] * torch.arange(_NODES)[:, None]).reshape(-1)
    strength = torch.as_tensor(eta * (nodes + 1) / 2).repeat_interleave(index.shape[0])
    mass = world.log_prob_at().exp().repeat(_NODES)
    tilted = mass * tilt_log_ratio(strength * score.repeat(_NODES), 1.0, apart, mass).exp()
    rewards, scores = world.rewards.repeat(_NODES, 1), score.repeat(_NODES)
    prompt_mass = torch.zeros(prompts.shape[0], dtype=torch.float64)
    prompt_mass = prompt_mass.index_add(0, index, world.row_weight())
    share = torch.outer(torch.as_tensor(weights / weights.sum()), prompt_mass)
    average = within_prompt_covariance(rewards, scores, apart, tilted, share.reshape(-1))
    return Integral(eta * average.estimate, _truncation(world, score, eta))


def _truncation(world: World, score: Tensor, eta: float) -> Tensor:
    width = widest_range(world, score)
    a = math.pi / (abs(eta) * width)
    inverse = 1 / (a + math.sqrt(a * a + 1))
    largest = (math.sqrt(2) + 2) / 4 * width * (world.rewards.amax(0) - world.rewards.amin(0))
    factor = abs(eta) / 2 * 64 / 15 * inverse ** (2 * _NODES - 2) / (1 - inverse**2)
    return factor * largest
