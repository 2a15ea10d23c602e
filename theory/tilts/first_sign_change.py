"""The tilt strength at which a reward's change first changes sign, no zero skipped (T6c).

h(η) = E_{π_η} r − E_π r starts at 0 with slope C. From π_η any step t keeps h from reaching 0
while one of two lower bounds on h(η + t) is positive: h + tC_η − t²K/2 with K = (√3/18)·E_x[R S²]
(T4), or, with z = t²·Var_η φ(t·(max s − E_η s)) ≥ Z − 1, h + E_x[tC⁺/(1 + z) − tC⁻ −
(E_η r − min r)·z] (proof of T6b). Such steps converge to the first zero from below,
quadratically where it is simple.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.tilts.remainder import THIRD_CUMULANT, phi
from covlaw.theory.tilts.tilt_problem import TiltProblem

_MAX_STEPS = 1000
_LARGEST_EXPONENT = 500.0
_STRETCH = 4.0 ** torch.arange(-4, 5, dtype=torch.float64)[:, None]


class _March(NamedTuple):
    """What does not change with η; advantages are signed so that C ≥ 0."""

    problem: TiltProblem
    below: Tensor  # (N,) s − max s
    top: Tensor  # (N,) bool: s is its prompt's largest, up to its own rounding
    limit: Tensor  # (P, M) E(A | top), h's limit prompt by prompt
    drop: Tensor  # (P, M) E A − min A = −min A


class _Moments(NamedTuple):
    heights: Tensor  # (P, M) h prompt by prompt
    height: Tensor  # (M,) h = E_x of them
    noise: Tensor  # (M,) bound on the rounding of h
    covariance: Tensor  # (P, M) Cov_η(r, s)
    variance: Tensor  # (P, M) Var_η(s)
    reach: Tensor  # (P, M) max s − E_η s
    off_top: Tensor  # (P, M) 1 − π_η(top)


def first_sign_change(problem: TiltProblem) -> Tensor:
    """An η* with sign Δ(η) = sign C for all 0 < η < η*, per objective: (M,).

    A lower bound of the first zero, never beyond it. inf where h provably never returns to 0; 0
    where C is 0. Where h sinks below rounding without a zero, or after 1000 steps, the η certified
    so far is returned, and the first zero may be anywhere above: `sign_turned` bounds it.
    """
    march = _prepare(problem)
    eta, running = torch.zeros_like(problem.law), problem.law != 0
    never = torch.zeros_like(running)
    for _ in range(_MAX_STEPS):
        now = _moments(march, eta)
        ended = (eta > 0) & (now.height <= now.noise)
        never |= running & ~ended & (_lowest_from_here(march, now) > 0)
        step = _safe_step(march, now, eta)
        running &= ~ended & ~never & (eta + step > eta)
        if not bool(running.any()):
            break
        eta = torch.where(running, eta + step, eta)
    return torch.where(never, torch.inf, eta)


def sign_turned(problem: TiltProblem, certified: Tensor) -> Tensor:
    """An η > `certified` where sign Δ is surely not sign C, beyond rounding: (M,); inf: none found.

    The smallest of certified·(1 + 2^k), k = −44, …, 10; so the first change of sign lies between
    the two.
    """
    march, found = _prepare(problem), torch.full_like(certified, torch.inf)
    live = certified.isfinite() & (certified > 0)
    for k in range(-44, 11):
        eta = torch.where(live, certified * (1 + 2.0**k), 0.0)
        now = _moments(march, eta)
        found = torch.where(live & (now.height < -now.noise), torch.fmin(found, eta), found)
    return found


def _prepare(problem: TiltProblem) -> _March:
    problem = problem._replace(advantage=problem.advantage * problem.law.sign())
    groups = problem.groups
    below = problem.score - groups.spread(problem.scores.rise)
    top = below >= -rounding(problem.score.abs().max(), 8)
    mass = problem.mass * top
    limit = groups.sum(mass[:, None] * problem.advantage) / groups.sum(mass)[:, None]
    drop = torch.where(problem.law > 0, problem.advantages.drop, problem.advantages.rise)
    return _March(problem, below, top, limit, drop)


def _moments(march: _March, eta: Tensor) -> _Moments:
    problem, groups = march.problem, march.problem.groups
    rise = problem.scores.rise[:, None]
    # exponents from the mean of s keep ρ − 1 accurate; from its top they cannot overflow
    top = torch.where(eta * rise < _LARGEST_EXPONENT, rise, 0.0)
    base = torch.where(groups.spread(top) > 0, problem.score[:, None], march.below[:, None])
    exponent = eta * base
    log_ratio = exponent - groups.spread(_log_normaliser(problem, exponent))
    change, weight = torch.expm1(log_ratio), problem.mass[:, None] * torch.exp(log_ratio)
    outer = (problem.mass * groups.spread(problem.prompt_mass))[:, None]
    mean = groups.sum(weight * base)
    centred = base - groups.spread(mean)
    # ρ − 1 errs relative to itself, and by ρ times the rounding of its exponent
    rounded = change.abs() + torch.exp(log_ratio) * exponent.abs()
    operations = 4 * int(groups.counts.max()) + len(groups.counts) + 16
    heights = groups.sum(problem.mass[:, None] * change * problem.advantage)
    return _Moments(
        heights=heights,
        height=problem.prompt_mass @ heights,
        noise=rounding((outer * rounded * problem.advantage.abs()).sum(0), operations),
        covariance=groups.sum(weight * centred * problem.advantage),
        variance=groups.sum(weight * centred.square()),
        reach=top - mean,
        off_top=groups.sum(weight * ~march.top[:, None]),
    )


def _log_normaliser(problem: TiltProblem, exponent: Tensor) -> Tensor:
    """log E_x e^{exponent} (P, M), without cancellation where it is near 0."""
    mass = problem.mass[:, None]
    total = problem.groups.sum(mass * torch.exp(exponent))
    excess = problem.groups.sum(mass * torch.expm1(exponent))
    return torch.where(total > 0.5, torch.log1p(excess), total.log())


def _safe_step(march: _March, now: _Moments, eta: Tensor) -> Tensor:
    bend, height = THIRD_CUMULANT * march.problem.bend, now.height.clamp(min=0)
    slope = march.problem.prompt_mass @ now.covariance
    root = (slope.square() + 2 * bend * height).sqrt()
    # the two forms of the quadratic's root, each where it does not cancel
    step = torch.where(slope > 0, (slope + root) / bend, 2 * height / (root - slope))
    longer = torch.maximum(step, eta) * _STRETCH.to(eta.device)
    safe = _local_bound(march, now, longer[:, None, :]) > 0
    return torch.maximum(step, torch.where(safe, longer, 0.0).amax(0)).nan_to_num(0.0)


def _local_bound(march: _March, now: _Moments, t: Tensor) -> Tensor:
    """The second lower bound on h(η + t); it over t falls with t, so > 0 at t means > 0 before."""
    excess = now.variance * t.square() * phi(t * now.reach)  # bounds Z − 1
    rise = t * (now.covariance.clamp(min=0) / (1 + excess) + now.covariance.clamp(max=0))
    fall = (now.heights + march.drop).clamp(min=0) * excess
    gain = march.problem.prompt_mass[:, None] * (rise - fall)
    return now.height.clamp(min=0) + gain.sum(1)


def _lowest_from_here(march: _March, now: _Moments) -> Tensor:
    """Bound h(η') from below for all η' ≥ η: its limit less what all mass off the top can do."""
    reward_range = march.problem.advantages.range
    return march.problem.prompt_mass @ (march.limit - reward_range * now.off_top)
