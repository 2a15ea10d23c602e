"""How large a tilt may be before a covariance no longer decides its sign (T6).

Why one prompt allows 32 where several allow 12√3 = 20.8. Scale s to [0, 1] and let Δ(η) = 0, that
is Cov(r, e^{ηs}) = 0. Then C = Cov(r, g) for g(s) = s − e^{ηs}/(e^η − 1), and |Cov(r, g)| ≤
(R/2)·E|g − E g| ≤ R·range(g)/4. As g is concave with g(0) = g(1), range(g) = max g − g(0) =
[coth x − 1/x + log(sinh x/x)/x]/2 with x = η/2, which x·coth x ≤ 1 + x²/3 and log(sinh x/x) ≤ x²/6
bound by η/8. So |C| ≤ R·η/32: no zero comes before 32|C|/R. It is the best constant:
π = (1/4, 1/2, 1/4), s = (0, 1/2, 1), r = (0, 1, δ) flips there as δ → 0.
"""

import math
import sys
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.tilts.first_sign_change import first_sign_change, sign_turned
from covlaw.theory.tilts.remainder import THIRD_CUMULANT, phi
from covlaw.theory.tilts.tilt_problem import TiltProblem, tilt_problem

ONE_PROMPT_RANGES = 32.0
"""Best constant in η* ≥ 32·|C|/(R·S²) for a single prompt."""


class StepThreshold(NamedTuple):
    """sign Δ_j(η) = sign C_j for every 0 < η below each but `turned`: (M,), in units of 1/s."""

    ranges: Tensor
    """(a) 12√3·|C| / E_x[R_x S_x²]: closed form, any number of prompts."""
    one_prompt: Tensor
    """(b) x*/b, x* the root of (e^x − 1 − x)/x = b|C|/(R_± Var s), b = max s − E s; NaN for
    several prompts."""
    one_prompt_ranges: Tensor
    """(b′) 32·|C|/(R·S²), R and S the ranges of r and s; NaN for several prompts."""
    certified: Tensor
    """(c) a lower bound of the first positive zero of Δ_j (`first_sign_change`): that zero to
    rounding unless Δ_j nearly touches 0 before it; inf where there is provably none."""
    turned: Tensor
    """An η where Δ_j surely has the other sign (`sign_turned`): the first change of sign lies
    between (c) and this. inf where none was found."""

    @property
    def closed_form(self) -> Tensor:
        """The largest of (a), (b) and (b′)."""
        return torch.fmax(torch.fmax(self.ranges, self.one_prompt), self.one_prompt_ranges)


def step_threshold(
    values: Tensor,
    score: Tensor,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> StepThreshold:
    """How far one may tilt along `score` with each reward moving as its covariance says (T6).

    0 < (a), (b), (b′) ≤ (c) wherever C_j ≠ 0; all are 0 where C_j is 0 or below its rounding.
    For η < 0 negate `score`.

    Args:
        values: (N, M) or (N,) rewards.
        score: (N,) s.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities, or None for the empirical distribution of samples.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: as `within_prompt_covariance`.
    """
    problem = tilt_problem(values, score, Grouping(prompt, mass, prompt_mass))
    ranges, one_prompt = range_threshold(problem), one_prompt_threshold(problem)
    # a march that rounding stopped early certifies less than the closed forms do
    marched = first_sign_change(problem)
    found = StepThreshold(ranges, one_prompt, one_prompt_range_threshold(problem), marched, marched)
    certified = torch.fmax(marched, found.closed_form)
    return found._replace(certified=certified, turned=sign_turned(problem, certified))


def range_threshold(problem: TiltProblem) -> Tensor:
    """(a) 2|C| / ((√3/18)·E_x[R S²]) = 12√3·|C| / E_x[R S²]: (M,)."""
    live = problem.law != 0
    return 2 * problem.law.abs() / torch.where(live, THIRD_CUMULANT * problem.bend, 1.0)


def one_prompt_threshold(problem: TiltProblem) -> Tensor:
    """(b) x*/b of the only prompt: (M,); NaN for several prompts."""
    if problem.prompt_mass.shape[0] > 1:
        return torch.full_like(problem.law, math.nan)
    room = torch.where(problem.law > 0, problem.advantages.drop, problem.advantages.rise)  # R_±
    reach, variance = problem.scores.rise, problem.mass @ problem.score.square()
    live = (problem.law != 0) & (room[0] * variance > 0)
    target = reach * problem.law.abs() / torch.where(live, room[0] * variance, torch.inf)
    roots = [_root(float(k)) if k > 0 else 0.0 for k in target]
    return reach.new_tensor(roots) / torch.where(live, reach, 1.0)


def one_prompt_range_threshold(problem: TiltProblem) -> Tensor:
    """(b′) 32|C|/(R·S²) of the only prompt: (M,); NaN for several prompts (proof: above)."""
    if problem.prompt_mass.shape[0] > 1:
        return torch.full_like(problem.law, math.nan)
    live = problem.law != 0
    return ONE_PROMPT_RANGES * problem.law.abs() / torch.where(live, problem.bend, 1.0)


def _root(target: float) -> float:
    """Solve x·φ(x) = k > 0; the Lambert-W form of SciPy loses half its digits for small k."""

    def gap(x: float) -> float:
        return x * float(phi(torch.tensor(x, dtype=torch.float64))) - target

    # φ ≥ 1/2, and x·φ(x) ≥ k at x = 2 + 2·log(1 + k), where e^x = e²(1 + k)²
    upper = min(2 * target, 2 + 2 * math.log1p(target))
    epsilon = sys.float_info.epsilon
    root: float = brentq(gap, 0.0, upper, xtol=sys.float_info.min, rtol=4 * epsilon)
    return root
