"""A policy, its rewards and a score, prepared once for questions about finite tilts (T5, T6)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.covariance import within_prompt_covariance
from covlaw.theory.groups import Groups, group_by_prompt
from covlaw.theory.validation import as_float64, as_prompt_ids, as_prompt_mass


class Extremes(NamedTuple):
    """Smallest and largest value within each prompt, on the support."""

    low: Tensor
    high: Tensor

    @property
    def range(self) -> Tensor:
        """Largest minus smallest."""
        return self.high - self.low


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
    """(M,) C_j = E_x Cov_x(r_j, s); exactly 0 where no prompt lets both r_j and s vary."""
    advantages: Extremes
    """(P, M); their range is R_x."""
    scores: Extremes
    """(P,); their range is S_x."""

    @property
    def bend(self) -> Tensor:
        """E_x[R_x S_x²]: (M,), what every bound on the second-order term is made of."""
        return (self.prompt_mass * self.scores.range.square()) @ self.advantages.range


def tilt_problem(
    values: Tensor,
    score: Tensor,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> TiltProblem:
    """Validate, centre, and find the ranges.

    Args:
        values: (N, M) or (N,) rewards.
        score: (N,) s.
        prompt: (N,) integer prompt ids.
        mass: (N,) probabilities, or None for the empirical distribution of samples: 1/K each.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: as `within_prompt_covariance`.
    """
    groups = group_by_prompt(as_prompt_ids(prompt))
    given = groups.spread(1 / groups.counts.to(torch.float64)) if mass is None else mass
    law = within_prompt_covariance(values, score, prompt, given, prompt_mass).estimate
    mass = as_float64(given, "mass", groups.position.device)
    mass = mass / groups.spread(groups.sum(mass))
    outer = as_prompt_mass(prompt_mass, groups)
    outer = torch.ones_like(groups.counts, dtype=torch.float64) if outer is None else outer
    advantage, centred = (_centre(groups, mass, v) for v in (values, score))
    advantage = advantage.reshape(len(mass), -1)
    ends = [_extremes(groups, mass, v) for v in (advantage, centred)]
    problem = TiltProblem(groups, mass, outer / outer.sum(), advantage, centred, law, *ends)
    return problem._replace(law=torch.where(problem.bend > 0, law, 0.0))


def _centre(groups: Groups, mass: Tensor, values: Tensor) -> Tensor:
    values = as_float64(values, "values", groups.position.device)
    centred = groups.centre(values, mass)
    return torch.where((mass > 0).reshape(-1, *([1] * (values.ndim - 1))), centred, 0.0)


def _extremes(groups: Groups, mass: Tensor, values: Tensor) -> Extremes:
    rowwise = (-1, *([1] * (values.ndim - 1)))
    index = groups.position.reshape(rowwise).expand_as(values)
    on_support = (mass > 0).reshape(rowwise)
    shape = (groups.prompts.shape[0], *values.shape[1:])

    def extreme(fill: float, reduce: str) -> Tensor:
        kept = torch.where(on_support, values, fill)
        return values.new_full(shape, fill).scatter_reduce(0, index, kept, reduce)

    return Extremes(extreme(torch.inf, "amin"), extreme(-torch.inf, "amax"))
