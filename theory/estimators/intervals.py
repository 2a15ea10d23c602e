"""Intervals of sampled covariances that cover where rewards are rare and ratios heavy-tailed."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import Numbers, as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import PromptIds, by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import Covariance, Drawn
from covlaw.theory.estimators.prompt_means import PromptMeans

LEVEL = 0.95


class Limits(NamedTuple):
    """Confidence limits, (..., M) each; −inf and inf where the samples say nothing."""

    low: Tensor
    high: Tensor

    @property
    def decided(self) -> Tensor:
        """(..., M) bool: 0 lies outside."""
        return (self.low > 0) | (self.high < 0)


class Push(NamedTuple):
    """What one completion can contribute to a covariance, as far as the sample shows: (..., M)."""

    down: Tensor
    """Largest fall, ≥ 0: the reward at one extreme and the signal at the opposite one."""
    up: Tensor


def interval(
    covariance: Covariance, level: float = LEVEL, bounds: tuple[float, float] | None = None
) -> Limits:
    r"""Confidence interval of each objective's covariance or exact change.

    Of `exact_change`: E_old ρ = 1 is known, so E[(r − c)(ρ − 1)] is the change for *every* c, and
    the interval holds the limits of two estimates, c the least and the greatest reward. A
    completion that was not seen and whose ratio is above 1 only makes the first too low and the
    second too high; one whose ratio is below 1 the other way round. So each limit stands on an
    estimate that errs away from it, whatever was missed. (r − min r)(r − max r) ≤ 0: the two
    errors are not positively correlated within prompts, both limits have to fail at once, and each
    may take twice its share of 1 − level. Between prompts they are: so the limits of Ĉ itself, at
    its own share, are held too.

    Of any other signal nothing of what was missed is known but that its reward and signal lie in
    the range seen: Ĉ ± (t·se + p·push), p = 1 − tail^(1/N) the probability of a completion that N
    draws miss with probability tail = (1 − level)/2, push as `Push`.

    t is Student's with prompts − 1 degrees; se is `PromptMeans.error`. Which rates this attains is
    measured (`covlaw.toys.measurements.certificates`; docs/limits.md).

    Args:
        covariance: From `within_prompt_covariance` or `exact_change`.
        level: Above 1/2 and below 1.
        bounds: Least and greatest possible reward, where known; else those of the sample count.

    Returns:
        Exact covariances: within their rounding. Infinite for too few prompts
        (`PromptMeans.margin`), and for a reward that did not vary in the sample, unless `bounds`
        say how far it could.

    Raises:
        CovlawError: on another level, rewards out of bounds, and a covariance that was put
            together by hand, without what it was taken of.
    """
    tail = _tail(level)
    if covariance.drawn is None:
        raise CovlawError("this covariance does not hold its samples: make it by exact_change")
    drawn = covariance.drawn
    if drawn.weights.exact:
        noise = rounding_of(drawn)
        return Limits(covariance.estimate - noise, covariance.estimate + noise)
    least, most = _extremes(drawn.values, bounds)
    if drawn.ratio:
        means = (*one_sided(drawn, least, most), deviations(drawn)[0])
        return known_where(most > least, ratio_limits(*means, tail))
    products, reward, signal = deviations(drawn)
    unseen = push(reward, signal)
    return known_where(unseen.up > 0, signal_limits(products, unseen, tail))


def change_interval(
    before: Numbers,
    after: Numbers,
    prompt: PromptIds,
    level: float = LEVEL,
    bounds: tuple[float, float] | None = None,
) -> Limits:
    """Confidence interval (M,) of a change of mean reward, from samples of both policies.

    Mean difference ± (t·se + p·(max r − min r)): as `interval` of a general signal, since a pair
    that N draws miss with probability tail could have changed by all of the reward's range. With
    random numbers common to both samples most pairs do not differ, and perhaps none does: the
    standard error is then 0, this interval is not.

    Args:
        before: (N, M) rewards of the old policy.
        after: (N, M) of the new one, a row for each row of `before`, of the same prompt.
        prompt: (N,) prompt ids, integers or labels of any kind.
        level: Above 1/2 and below 1.
        bounds: Least and greatest possible reward, where known; else those of both samples count.

    Returns:
        Infinite for too few prompts (`PromptMeans.margin`), and for a reward that is the same
        throughout.

    Raises:
        CovlawError: on another level, rewards out of bounds and shapes that do not fit.
    """
    tail, groups = _tail(level), by_prompt(prompt)
    old, new = as_float64(before, "before"), as_float64(after, "after")
    if old.ndim != 2 or old.shape != new.shape or len(old) != len(groups.position):
        raise CovlawError(
            f"rewards {tuple(old.shape)} before and {tuple(new.shape)} after for "
            f"{len(groups.position)} completions: give (N, M) twice, row by row"
        )
    least, most = _extremes(torch.cat([old, new]), bounds)
    rows, uniform = new - old, groups.share(None)[:, None]
    mean, square = (groups.sum(uniform * x) for x in (rows, rows.square()))
    share = torch.full_like(mean[:, 0], 1 / len(mean))
    pairs = PromptMeans(mean, square, groups.counts.to(mean), share)
    return known_where(most > least, signal_limits(pairs, Push(most - least, most - least), tail))


def _tail(level: float) -> float:
    if not 0.5 < level < 1:
        raise CovlawError(f"level is {level}: give a confidence above 0.5 and below 1, e.g. 0.95")
    return (1 - level) / 2


def rounding_of(drawn: Drawn) -> Tensor:
    """Bound on the rounding of an exact covariance, (M,)."""
    size = drawn.values.abs().amax(0) * drawn.signal.abs().max()
    return rounding(size, drawn.signal.shape[0] + 16)


def one_sided(drawn: Drawn, least: Tensor, most: Tensor) -> tuple[PromptMeans, PromptMeans]:
    """Means of (r − min r)(ρ − 1) and of (r − max r)(ρ − 1); extremes (M,) or (N, M)."""
    signal = drawn.signal[:, None]
    above, below = (drawn.values - least) * signal, (drawn.values - most) * signal
    return PromptMeans.of(above, drawn.weights), PromptMeans.of(below, drawn.weights)


def ratio_limits(
    above: PromptMeans, below: PromptMeans, products: PromptMeans, tail: float
) -> Limits:
    """Of the two estimates of `one_sided` and of Ĉ, the outer limits."""
    shares = ((above, 2 * tail), (below, 2 * tail), (products, tail))
    pairs = [(m.estimate(), m.margin(share)) for m, share in shares]
    lows, highs = (torch.stack(x) for x in zip(*((e - d, e + d) for e, d in pairs), strict=True))
    return Limits(lows.amin(0), highs.amax(0))


def deviations(drawn: Drawn) -> tuple[PromptMeans, Tensor, Tensor]:
    """Products whose mean is Ĉ, and their factors (N, M) and (N, 1), as deviations.

    Each completion is compared with the mean of its group's others, as K/(K − 1) demands.
    """
    groups, row = drawn.weights.groups, drawn.weights.row
    bessel = groups.spread(drawn.weights.correction)[:, None]
    reward = bessel * groups.centre(drawn.values, row)
    signal = groups.centre(drawn.signal, row)[:, None]
    return PromptMeans.of(reward * signal, drawn.weights), reward, bessel * signal


def push(reward: Tensor, signal: Tensor) -> Push:
    """Extreme products of deviations (..., N, M) and (..., N, 1)."""
    high, low = reward.amax(-2), -reward.amin(-2)
    rise, fall = signal.amax(-2), -signal.amin(-2)
    return Push(torch.maximum(high * fall, low * rise), torch.maximum(high * rise, low * fall))


def signal_limits(products: PromptMeans, unseen: Push, tail: float) -> Limits:
    """Student's limits, moved out by what an unseen completion could have pushed."""
    estimate, margin = products.estimate(), products.margin(tail)
    missed = 1 - tail ** (1 / products.rows)
    return Limits(estimate - margin - missed * unseen.down, estimate + margin + missed * unseen.up)


def known_where(varies: Tensor, limits: Limits) -> Limits:
    """Infinite limits elsewhere, and where the error is not known."""
    known = varies & torch.isfinite(limits.low) & torch.isfinite(limits.high)
    return Limits(
        torch.where(known, limits.low, -torch.inf), torch.where(known, limits.high, torch.inf)
    )


def _extremes(values: Tensor, bounds: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    least, most = values.amin(0), values.amax(0)
    if bounds is None:
        return least, most
    if not bool((least >= bounds[0]).all() & (most <= bounds[1]).all()):
        raise CovlawError(f"rewards leave the bounds {bounds}: give the least and greatest reward")
    return torch.full_like(least, bounds[0]), torch.full_like(most, bounds[1])
