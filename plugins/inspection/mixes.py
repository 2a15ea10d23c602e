"""Weights: does any mix raise every reward, which raises the worst-off most, who drives a mix."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.plugins.inspection.pools import Pool
from covlaw.plugins.inspection.scan import Scan
from covlaw.theory._numerics.weighting import mean_and_error
from covlaw.theory.estimators.intervals import Limits
from covlaw.theory.estimators.prompt_means import PromptMeans
from covlaw.theory.estimators.sign_certificate import NOMINAL
from covlaw.theory.solvers.min_norm import min_norm_weights

SMALL = 1e-9
"""Gain, in standard deviations, that counts as none."""


class Mix(NamedTuple):
    """Fixed weights, and the bare law of every reward under their centred sum."""

    weights: Tensor
    """(M,) λ."""
    law: Tensor
    """(M,) (Cλ)_j, in units of the reward times the score."""
    standard_error: Tensor
    low: Tensor
    high: Tensor
    """(M,) limits, each wrong with probability at most `NOMINAL`."""
    share: Tensor
    """(M,) λ_k(Cλ)_k/λ'Cλ: what each reward contributes to the score's variance."""


class Rising(NamedTuple):
    """Whether non-negative weights exist under which no reward falls."""

    answer: str
    """"certified", "estimated" or "none"."""
    mix: Mix
    """The mix that raises the worst-off reward most, gains in its own standard deviations."""
    idle: tuple[int, ...]
    """Rewards that never varied within a prompt; they get no weight."""


def mix_of(scan: Scan, weights: Tensor) -> Mix:
    """Read the law of given weights from the rewards' own covariances."""
    pool, columns = scan.pool, scan.rewards
    law = covariance(scan) @ weights
    share = weights * law
    total = share.sum()
    error, limits = _limits(pool, columns, weights, torch.ones(len(pool.mean), dtype=torch.bool))
    return Mix(weights, law, error, limits.low, limits.high, share / total)


def covariance(scan: Scan) -> Tensor:
    """C, (M, M), all steps pooled; 0 where two rewards never met in a group."""
    found = torch.nan_to_num(scan.pool.estimate()[:, scan.rewards], nan=0.0)
    return (found + found.T) / 2


def correlation(matrix: Tensor) -> Tensor:
    """Correlations of a covariance matrix; NaN for a reward that does not vary."""
    spread = matrix.diagonal().clamp(min=0).sqrt()
    return (matrix / (spread[:, None] * spread)).clamp(-1, 1)


def rising(scan: Scan) -> Rising:
    """Look for weights that raise every reward that varies, and certify them across halves.

    In units of each reward's own standard deviation the min-norm weights of the correlations raise
    the worst-off most (T31). Chosen on one half of the prompts they are judged on the other, both
    ways round; certified if no reward's limit touches 0 in either.
    """
    matrix = covariance(scan)
    weights, idle, gain = max_min(matrix)
    mix = mix_of(scan, weights)
    if gain <= SMALL:
        return Rising("none", mix, idle)
    alive = torch.tensor([j not in idle for j in range(len(weights))])
    half = torch.arange(len(scan.pool.mean)) % 2 == 0
    certain = all(_judged(scan, part, alive) for part in (half, ~half))
    return Rising("certified" if certain else "estimated", mix, idle)


def max_min(matrix: Tensor) -> tuple[Tensor, tuple[int, ...], float]:
    """Weights (M,) that sum to M, the rewards left out, and the least gain in own deviations."""
    spread = matrix.diagonal().clamp(min=0).sqrt()
    alive = spread > SMALL * spread.max().clamp(min=1e-300)
    idle = tuple(int(j) for j in (~alive).nonzero()[:, 0])
    weights = torch.zeros_like(spread)
    if not bool(alive.any()):
        return weights, idle, 0.0
    own = correlation(matrix[alive][:, alive])
    lowest, vectors = torch.linalg.eigh((own + own.T) / 2)
    own = vectors @ torch.diag(lowest.clamp(min=0)) @ vectors.T  # ragged groups may leave it short
    best = min_norm_weights(own)
    weights[alive] = best / spread[alive]
    return weights * len(weights) / weights.sum(), idle, float((own @ best).min())


def _judged(scan: Scan, chosen_on: Tensor, alive: Tensor) -> bool:
    """Whether weights chosen on some clusters raise every reward on the others for certain."""
    pool, columns = scan.pool, scan.rewards
    there = pool.groups[:, 0, columns.start] > 0
    if int((chosen_on & there).sum()) < 2 or int((~chosen_on & there).sum()) < 2:
        return False
    part = pool.mean[chosen_on].sum(0) / pool.groups[chosen_on].sum(0)
    matrix = torch.nan_to_num(part[:, columns], nan=0.0)
    weights, _, gain = max_min((matrix + matrix.T) / 2)
    if gain <= SMALL:
        return False
    _, limits = _limits(pool, columns, weights, ~chosen_on)
    return bool((limits.low[alive] > 0).all())


def _limits(pool: Pool, columns: slice, weights: Tensor, clusters: Tensor) -> tuple[Tensor, Limits]:
    """Standard errors and limits of Σ_k λ_k C_jk over some clusters, (M,) each."""
    mean, groups, rows = (x[clusters][..., columns] for x in (pool.mean, pool.groups, pool.rows))
    count = len(weights)
    error, low, high = (torch.full((count,), torch.nan, dtype=torch.float64) for _ in range(3))
    used = weights != 0
    for j in range(count):
        there = (groups[:, j][:, used] > 0).all(1)
        if int(there.sum()) < 2:
            low[j], high[j] = -torch.inf, torch.inf
            continue
        column = (mean[there, j] / groups[there, j].clamp(min=1)) @ weights
        share = groups[there, j][:, used].amin(1)
        share, size = share / share.sum(), rows[there, j][:, used].amin(1)
        estimate, deviation = mean_and_error(column[:, None], share)
        means = PromptMeans(column[:, None], column[:, None].square(), size, share)
        miss = 1 - NOMINAL ** (1 / means.rows)
        push = float((weights.abs() * _push(pool, columns, j)).sum())
        margin = float(means.margin(NOMINAL)[0]) + miss * push
        error[j] = deviation[0]
        low[j], high[j] = float(estimate[0]) - margin, float(estimate[0]) + margin
        if push == 0:
            low[j], high[j] = -torch.inf, torch.inf
    return error, Limits(low, high)


def _push(pool: Pool, columns: slice, j: int) -> Tensor:
    """Largest product of deviations that reward j has with each: (M,)."""
    reach = pool.extremes[:, j, columns].abs()
    return reach[:2].amax(0) * reach[2:].amax(0)
