"""When the covariance decides the sign of a tilt of every strength: single crossing (T7)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.tilts.tilt_problem import TiltProblem, tilt_problem


def sign_changes(
    values: Tensor,
    score: Tensor,
    rows: Grouping,
) -> Tensor:
    """Sign changes of c_k = Σ_{y: s(y) = s_k} π(y|x)(r_j(y) − E_x r_j), k by rising s: (P, M) (T7).

    Δ_j(η) of one prompt is Σ_k c_k e^{ηs_k}/E e^{ηs}, so by Descartes' rule for exponential sums
    it has at most as many zeros, η = 0 included. A c_k no larger than its own rounding counts
    as 0; 0 changes mean that no tilt along s moves r_j.

    Args:
        values: (N, M) or (N,) rewards.
        score: (N,) s.
        rows: Their prompts and masses; samples stand for their empirical distribution.

    Raises:
        CovlawError: as `within_prompt_covariance`.
    """
    problem = tilt_problem(values, score, rows)
    return _changes(_levels(problem, score))


def law_holds_for_every_step(
    values: Tensor,
    score: Tensor,
    rows: Grouping,
) -> Tensor:
    """Whether sign Δ_j(η) = sign C_j for every η > 0, certified by single crossing: (M,) (T7).

    That is so where every prompt has at most one sign change, and the prompts' covariances
    Cov_x(r_j, s) have one sign between them. Sufficient, not necessary. Σ_k c_k = 0, so a prompt
    that shows c of one sign only hides the other below rounding: its direction is not known, and
    nothing is certified.

    Args and errors as `sign_changes`.
    """
    problem = tilt_problem(values, score, rows)
    levels = _levels(problem, score)
    listed = problem.prompt_mass > 0
    changes, direction = _changes(levels)[listed], -_first_sign(levels)[listed]
    agree = ~((direction > 0).any(0) & (direction < 0).any(0))
    hidden = ((changes == 0) & (direction != 0)).any(0)
    return (changes <= 1).all(0) & agree & ~hidden & (direction != 0).any(0)


class _Levels(NamedTuple):
    """The score levels of every prompt, by rising score."""

    sign: Tensor  # (L, M) sign of c, 0 below rounding
    prompt: Tensor  # (L,) position of the level's prompt
    prompts: int


def _levels(problem: TiltProblem, score: Tensor) -> _Levels:
    """Add π·A up within equal scores.

    A level's mean advantage errs by the roundings of its sum and of the prompt's mean reward: at
    most γ·R_x, relative to the level's own mass.
    """
    groups, live = problem.groups, problem.mass > 0
    score = as_float64(score, "score", live.device)[live] + 0.0  # −0 becomes 0
    key = torch.stack([groups.position[live].to(torch.float64), score], 1)
    levels, index = torch.unique(key, dim=0, return_inverse=True)
    weight = problem.mass[live, None]
    total = weight.new_zeros(len(levels), 1 + problem.advantage.shape[1])
    rows = torch.cat([weight, weight * problem.advantage[live]], 1)
    mass, c = total.index_add(0, index, rows).split([1, rows.shape[1] - 1], 1)
    prompt = levels[:, 0].to(torch.int64)
    noise = rounding(problem.advantages.range, 8 * (int(groups.counts.max()) + 8))
    sign = torch.where(c.abs() > mass * noise[prompt], c.sign(), 0.0)
    return _Levels(sign, prompt, len(groups.counts))


def _changes(levels: _Levels) -> Tensor:
    """How often the sign turns within each prompt, zeros skipped: (P, M)."""
    counts = torch.zeros(levels.prompts, levels.sign.shape[1], dtype=torch.int64)
    for column in range(levels.sign.shape[1]):
        kept = levels.sign[:, column] != 0
        sign, owner = levels.sign[kept, column], levels.prompt[kept]
        turn = (sign[1:] != sign[:-1]) & (owner[1:] == owner[:-1])
        counts[:, column].index_add_(0, owner[1:], turn.to(torch.int64))
    return counts


def _first_sign(levels: _Levels) -> Tensor:
    """Sign of the first c that is not 0 in each prompt, 0 where there is none: (P, M)."""
    size = len(levels.sign)
    position = torch.arange(size)[:, None].expand_as(levels.sign)
    index = torch.where(levels.sign != 0, position, size)
    first = torch.full((levels.prompts, index.shape[1]), size)
    first = first.scatter_reduce(0, levels.prompt[:, None].expand_as(index), index, "amin")
    padded = torch.cat([levels.sign, torch.zeros_like(levels.sign[:1])])
    return padded.gather(0, first)
