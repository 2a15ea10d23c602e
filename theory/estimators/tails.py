"""Heavy tails of importance ratios: how far a mean over them can be trusted."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError

FEWEST = 5
"""Exceedances below which no tail is fitted."""
HEAVIEST = 0.7
"""k̂ beyond which importance sampling is not to be relied on, however many samples there are."""
PRIOR = 10.0
"""Observations that the weak prior k ≈ 1/2 counts for."""


class Tail(NamedTuple):
    """What a sample of importance ratios says of its own reliability."""

    shape: float
    """k̂ of a generalised Pareto tail: moments of order below 1/k exist. NaN without a tail."""
    effective: float
    """(Σρ)²/Σρ²: as many samples of equal weight would serve as well (Kong 1992)."""
    largest: float
    """k̂ up to which N samples are enough, see `largest_shape`."""
    ratios: int
    """N."""

    @property
    def heavy(self) -> bool:
        """Whether means over these ratios, their standard errors included, may mislead.

        k̂ is above `largest` *and* the ratios differ enough for a tail to matter: fewer than N/2
        effective samples, which is a relative standard deviation above 1. k̂ looks at the excess
        over a threshold alone: of 32 ratios that are all within 10 % of 1 it is noise. A tail of
        which nothing was seen shows in neither, but may in the mean ratio
        (`sign_certificate.mean_ratio`).
        """
        return self.shape > self.largest and self.effective < self.ratios / 2


def importance_tail(log_ratio: Tensor) -> Tail:
    """Pareto k̂ and effective sample size of N importance ratios.

    Vehtari, Simpson, Gelman, Yao & Gabry, "Pareto smoothed importance sampling", JMLR 25(72),
    2024: a generalised Pareto distribution is fitted to the min(N/5, 3√N) largest ratios. Ratios
    of several prompts may be pooled: each prompt's have mean 1 under the old policy.

    Args:
        log_ratio: (N,) log ρ, in nats.

    Raises:
        CovlawError: if there is none, or one is NaN or +inf.
    """
    log = _checked(log_ratio)
    ratio = torch.exp(log - log.max())  # k̂ and the effective size do not depend on the scale
    count = len(ratio)
    size = math.ceil(min(0.2 * count, 3 * math.sqrt(count)))
    ordered = ratio.sort().values
    excess = ordered[count - size :] - ordered[max(count - size - 1, 0)]
    effective = float(ratio.sum().square() / ratio.square().sum())
    return Tail(pareto_shape(excess[excess > 0]), effective, largest_shape(count), count)


def largest_shape(count: int) -> float:
    """min(1 − 1/log10 N, 0.7): the largest k̂ at which N samples suffice (ibid., section 3.2.4)."""
    return min(1 - 1 / math.log10(count), HEAVIEST) if count > 1 else -math.inf


def pareto_shape(excess: Tensor) -> float:
    """Shape k of a generalised Pareto distribution, 1 − F(x) = (1 + kx/σ)^(−1/k); NaN below 5.

    The quasi-Bayesian estimate of Zhang & Stephens (Technometrics 51(3), 2009), shrunk towards 1/2
    as by ten observations more (Vehtari et al. 2024, appendix G).

    Args:
        excess: (n,) positive exceedances over a threshold.
    """
    x = as_float64(excess, "excess").sort().values
    count = len(x)
    if count < FEWEST:
        return math.nan
    grid = 30 + math.isqrt(count)
    nodes = torch.arange(1, grid + 1, dtype=torch.float64) - 0.5
    quartile = x[max(math.floor(count / 4 + 0.5), 1) - 1]
    # b = −k/σ, never 1/max itself
    b = 1 / x[-1] + (1 - (grid / nodes).sqrt()) / (3 * quartile)
    shapes = torch.log1p(-b[:, None] * x).mean(1)
    likelihood = count * (torch.log(-b / shapes) - shapes - 1)
    centre = (torch.softmax(likelihood, 0) * b).sum()
    shape = float(torch.log1p(-centre * x).mean())
    return (count * shape + PRIOR / 2) / (count + PRIOR)


def truncated_log_ratio(log_ratio: Tensor) -> Tensor:
    """Log of min(ρ, √N·mean ρ): (N,), bounded ratios of finite variance.

    Ionides, "Truncated importance sampling", JCGS 17(2), 2008: the bias vanishes as N grows.

    Args:
        log_ratio: (N,) log ρ, in nats.

    Raises:
        CovlawError: as `importance_tail`.
    """
    log = _checked(log_ratio)
    mean = torch.logsumexp(log, 0) - math.log(len(log))
    return log.clamp(max=float(mean) + 0.5 * math.log(len(log)))


def _checked(log_ratio: Tensor) -> Tensor:
    log = as_float64(log_ratio, "log_ratio").flatten()
    if not len(log) or bool((torch.isnan(log) | (log == math.inf)).any()):
        raise CovlawError(
            f"log_ratio has {len(log)} entries, and NaN or +inf among them or none at all: check "
            "the log-probs of both policies"
        )
    return log
