"""The tilt strength at which a reward's change first changes sign, no zero skipped (T6c).

h(η) = E_{π_η} r − E_π r starts at 0 with slope C. From π_η any step t keeps h from reaching 0
while one of two lower bounds on h(η + t) is positive: h + tC_η − t²K/2 with K = (√3/18)·E_x[R S²]
(T4), or h − t·E_x(C_η)⁻ − t²·E_x[R Var_η φ(t·(max s − E_η s))] (proof of T6b). Such steps converge
to the first zero from below, quadratically where it is simple.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.remainder import THIRD_CUMULANT, phi
from covlaw.theory.rounding import rounding
from covlaw.theory.tilt_problem import TiltProblem

_MAX_STEPS = 10_000
_STRETCH = 4.0 ** torch.arange(1, 7, dtype=torch.float64)[:, None]


class _March(NamedTuple):
    """What does not change with η; advantages are signed so that C ≥ 0."""

    problem: TiltProblem
    below: Tensor  # (N,) s − max s
    top: Tensor  # (N,) bool: s is its prompt's largest, up to its own rounding
    limit: Tensor  # (P, M) E(A | top), h's limit prompt by prompt
    room: Tensor  # (P, M) D·R


class _Moments(NamedTuple):
    height: Tensor  # (M,) h
    slope: Tensor  # (M,) E_x Cov_η
    falling: Tensor  # (M,) E_x of the negative parts of Cov_η
    variance: Tensor  # (P, M) Var_η(s)
    reach: Tensor  # (P, M) max s − E_η s
    off_top: Tensor  # (P, M) 1 − π_η(top)


def first_sign_change(problem: TiltProblem) -> Tensor:
    """Largest η* with sign Δ(η) = sign C for all 0 < η < η*, per objective: (M,).

    inf where h provably never returns to 0; 0 where C is 0. Where h sinks below rounding, or
    after 10 000 steps, the η certified so far is returned.
    """
    march = _prepare(problem)
    eta, running = torch.zeros_like(problem.law), problem.law != 0
    never = torch.zeros_like(running)
    for _ in range(_MAX_STEPS):
        now = _moments(march, eta)
        ended = (eta > 0) & (now.height <= _noise(problem, eta))
        never |= running & ~ended & (_lowest_from_here(march, now) > 0)
        step = _safe_step(march, now)
        running &= ~ended & ~never & (eta + step > eta)
        if not bool(running.any()):
            break
        eta = torch.where(running, eta + step, eta)
    return torch.where(never, torch.inf, eta)


def _prepare(problem: TiltProblem) -> _March:
    problem = problem._replace(advantage=problem.advantage * problem.law.sign())
    groups = problem.groups
    below = problem.score - groups.spread(problem.scores.high)
    top = below >= -rounding(problem.score.abs().max(), 8)
    mass = problem.mass * top
    limit = groups.sum(mass[:, None] * problem.advantage) / groups.sum(mass)[:, None]
    room = problem.prompt_mass[:, None] * problem.advantages.range
    return _March(problem, below, top, limit, room)


def _moments(march: _March, eta: Tensor) -> _Moments:
    problem, below = march.problem, march.below[:, None]
    groups = problem.groups
    weight = problem.mass[:, None] * torch.exp(eta * below)
    weight = weight / groups.spread(groups.sum(weight))
    offset = groups.sum(weight * below)
    centred = below - groups.spread(offset)
    covariance = groups.sum(weight * centred * problem.advantage)
    return _Moments(
        height=problem.prompt_mass @ groups.sum(weight * problem.advantage),
        slope=problem.prompt_mass @ covariance,
        falling=problem.prompt_mass @ covariance.clamp(max=0).neg(),
        variance=groups.sum(weight * centred.square()),
        reach=-offset,
        off_top=groups.sum(weight * ~march.top[:, None]),
    )


def _safe_step(march: _March, now: _Moments) -> Tensor:
    bend, height = THIRD_CUMULANT * march.problem.bend, now.height.clamp(min=0)
    root = (now.slope.square() + 2 * bend * height).sqrt()
    # the two forms of the quadratic's root, each where it does not cancel
    step = torch.where(now.slope > 0, (now.slope + root) / bend, 2 * height / (root - now.slope))
    longer = step * _STRETCH
    t = longer[:, None, :]
    lost = (march.room * now.variance * t.square() * phi(t * now.reach)).sum(1)
    safe = lost + longer * now.falling < height
    return torch.maximum(step, torch.where(safe, longer, 0.0).amax(0)).nan_to_num(0.0)


def _lowest_from_here(march: _March, now: _Moments) -> Tensor:
    """Bound h(η') from below for all η' ≥ η: its limit less what all mass off the top can do."""
    per_prompt = march.problem.prompt_mass[:, None] * march.limit - march.room * now.off_top
    return per_prompt.sum(0)


def _noise(problem: TiltProblem, eta: Tensor) -> Tensor:
    """Rounding of h: weights err by their sum's roundings and by the exponent's, η·s each."""
    operations = 4 * int(problem.groups.counts.max()) + problem.prompt_mass.shape[0] + 16
    exponent = 4 * eta.max() * problem.score.abs().max()
    return rounding(problem.advantage.abs().amax(0), operations + int(exponent.clamp(max=1e6)))
