"""A policy, its rewards and a score, prepared once for questions about finite tilts (T5, T6)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping, weighting
from covlaw.theory.estimators.covariance import within_prompt_covariance


class Spread(NamedTuple):
    """How far values reach within each prompt, on the support; offsets of the values cancel."""

    drop: Tensor
    """E_x v − min v ≥ 0."""
    rise: Tensor
    """max v − E_x v ≥ 0."""
    range: Tensor
    """max v − min v."""


class TiltProblem(NamedTuple):
    """Everything the bounds on π_η ∝ π e^{ηs} need; rows where π is 0 are set to 0."""

    groups: Groups
    mass: Tensor
    """(N,) π."""
    prompt_mass: Tensor
    """(P,)."""
    advantage: Tensor
    """(N, M) A_j = r_j − E_x r_j."""
    score: Tensor
    """(N,) s − E_x s."""
    law: Tensor
    """(M,) C_j = E_x Cov_x(r_j, s); exactly 0 where it is no larger than its own rounding."""
    advantages: Spread
    """(P, M); its range is R_x."""
    scores: Spread
    """(P,); its range is S_x."""

    @property
    def bend(self) -> Tensor:
        """E_x[R_x S_x²]: (M,), what every bound on the second-order term is made of."""
        return (self.prompt_mass * self.scores.range.square()) @ self.advantages.range


def tilt_problem(
    values: Tensor,
    score: Tensor,
    rows: Grouping,
) -> TiltProblem:
    """Validate, centre, and find the ranges.

    Args:
        values: (N, M) or (N,) rewards.
        score: (N,) s.
        rows: Their prompts and masses; samples stand for their empirical distribution.

    Raises:
        CovlawError: as `within_prompt_covariance`.
    """
    within_prompt_covariance(values, score, *rows)  # refuses bad input
    weights = weighting(rows)
    groups, known = weights.groups, Grouping(rows.prompt, weights.row, weights.prompt)
    columns = as_float64(values, "values").reshape(len(weights.row), -1)
    advantage, advantages = _centre(groups, weights.row, columns)
    centred, scores = _centre(groups, weights.row, as_float64(score, "score")[:, None])
    law = within_prompt_covariance(advantage, centred[:, 0], *known).estimate
    scores = Spread(*(f[:, 0] for f in scores))
    problem = TiltProblem(
        groups, weights.row, weights.prompt, advantage, centred[:, 0], law, advantages, scores
    )
    return problem._replace(law=torch.where(law.abs() > _law_rounding(problem), law, 0.0))


def _law_rounding(problem: TiltProblem) -> Tensor:
    """Rounding of C_j: a centred value errs relative to itself and to its mean's distance."""
    groups, (r, s) = problem.groups, (problem.advantages, problem.scores)
    size_r = problem.advantage.abs() + groups.spread(torch.minimum(r.drop, r.rise))
    size_s = problem.score.abs() + groups.spread(torch.minimum(s.drop, s.rise))
    weight = problem.mass * groups.spread(problem.prompt_mass) * size_s
    operations = 16 * (int(groups.counts.max()) + len(groups.counts) + 16)
    return rounding(weight @ size_r, operations)


def _centre(groups: Groups, mass: Tensor, values: Tensor) -> tuple[Tensor, Spread]:
    """Values less their mean, measured from the nearer extreme: neither offset nor range rounds."""
    weight, index = mass[:, None], groups.position[:, None].expand_as(values)
    support = weight > 0

    def extreme(fill: float, reduce: str) -> Tensor:
        start = values.new_full((len(groups.counts), values.shape[1]), fill)
        return start.scatter_reduce(0, index, torch.where(support, values, fill), reduce)

    low, high = extreme(torch.inf, "amin"), extreme(-torch.inf, "amax")
    above = torch.where(support, values - groups.spread(low), 0.0)
    below = torch.where(support, groups.spread(high) - values, 0.0)
    drop, rise = groups.sum(weight * above), groups.sum(weight * below)
    near_low, near_high = above - groups.spread(drop), groups.spread(rise) - below
    centred = torch.where(support, torch.where(above < below, near_low, near_high), 0.0)
    return centred, Spread(drop, rise, high - low)
