"""T4: a third joint cumulant is at most √3/18 of the reward's range times the score's squared.

|κ_x(r, s, s)| = |Cov_x(r, (s − E s)²)| ≤ (√3/18)·R_x·S_x²; equality for r = s = Bernoulli(p),
p = (3 − √3)/6.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.statements._support.adversaries import EXTREMAL_MASS, extremal_indicator
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.tilts.remainder import THIRD_CUMULANT
from covlaw.theory.tilts.tilt_problem import tilt_problem
from covlaw.theory.worlds.world import World

SHRUNK = 0.99
"""The control's constant, relative to √3/18."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """|κ(r_j, s, s)| prompt by prompt: the world's rewards, its own extreme set, and equality."""
    score, extreme = random_score(world, rng), extremal_indicator(world, rng)
    mass = world.log_prob_at().exp()
    return joined(
        [
            cumulant_sides(world, world.rewards, score, mass),
            cumulant_sides(world, extreme[:, None], score, mass),
            cumulant_sides(world, extreme[:, None], extreme, mass),
            _equality_sides(world, extreme),
        ]
    )


def shrunk_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a constant 1 % smaller, where equality holds."""
    random_score(world, rng)  # the same extreme set as in `sides`
    measured, bound, error = _equality_sides(world, extremal_indicator(world, rng))
    return Sides(measured, SHRUNK * bound, error)


def cumulant_sides(world: World, rewards: Tensor, score: Tensor, mass: Tensor) -> Part:
    """|κ_x(r_j, s, s)| and the bound of every prompt and reward, (P·M,) each.

    By plain central moments, Cov(r, (s − E s)²), of values measured from an extreme of their
    prompt, so that an offset does not round.
    """
    problem = tilt_problem(rewards, score, Grouping(world.prompt, mass, world.prompt_mass))
    weight = (problem.mass * problem.score.square())[:, None]
    measured = problem.groups.sum(weight * problem.advantage).abs()
    size = problem.advantages.range * problem.scores.range.square()[:, None]
    error = rounding(size, 16 * (int(problem.groups.counts.max()) + 8))
    return measured.reshape(-1), (THIRD_CUMULANT * size).reshape(-1), error.reshape(-1)


def _equality_sides(world: World, extreme: Tensor) -> Part:
    """Take r = s = 1_B under the policy reweighted to P(B) = (3 − √3)/6 wherever 0 < P(B) < 1."""
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    inside, outside = (groups.sum(mass * part) for part in (extreme, 1 - extreme))
    tiny = torch.finfo(torch.float64).tiny
    possible = (inside >= tiny) & (outside >= tiny)
    up, down = EXTREMAL_MASS / inside.clamp(min=tiny), (1 - EXTREMAL_MASS) / outside.clamp(min=tiny)
    factor = torch.where(extreme > 0, groups.spread(up), groups.spread(down))
    reweighted = torch.where(groups.spread(possible), factor * mass, mass)
    return cumulant_sides(world, extreme[:, None], extreme, reweighted)


@cache
def proofs() -> list[Proof]:
    """Every step: to an indicator r, to a two-valued s, and the maximum over what is left."""
    from covlaw.theory.statements.tilts import _symbolic_cumulants as symbolic

    return [
        Proof(
            "r = 1_B: κ − p(1−p)[V_B − V_{B^c} + (1−2p)(m_B − m_{B^c})²] = 0",
            symbolic.indicator_residual(),
        ),
        Proof(
            "p < 1/4: the value at a = 1 exceeds that at a by (1−a)(1−2p(1+a)) ≥ 0",
            symbolic.few_arms_residual(),
        ),
        Proof(
            "p ≥ 1/4: (1−p)/8 exceeds the value by 2p²(1−p)(a − 1/(4p))² ≥ 0",
            symbolic.square_residual(),
        ),
        Proof("(√3/18)² − (3/32)² = 13/27648 > 0", symbolic.smaller_constant_residual()),
        Proof("√3/18 − p(1−p)(1−2p) = 2(p − p*)²(q − p), q > 1", symbolic.maximum_residual()),
        Proof("κ(s, s, s) of Bernoulli(p*) − √3/18 = 0", symbolic.bernoulli_residual()),
    ]


STATEMENT = Statement(
    id="T4",
    title="A third joint cumulant of reward and score is at most √3/18·R·S², R and S their ranges",
    explanation="R and S are the ranges (largest minus smallest value) of a reward r and a"
    " training score s within one prompt. κ(r, s, s) is what bends the straight-line forecast of"
    " the covariance law, so this bound says how soon the forecast can go wrong, whatever the"
    " policy and however many completions there are. A coin that lands on 1 with probability"
    " .211 attains it: the constant √3/18 = .0962 cannot be improved, and the step sizes derived"
    " from it (T5, T6, T14) inherit that.",
    kind="bound",
    formula="|κ_x(r, s, s)| = |Cov_x(r, (s − E s)²)| ≤ (√3/18) R_x S_x²,"
    " equality for r = s = Bernoulli((3 − √3)/6)",
    latex=r"|\kappa_x(r,s,s)|=|\mathrm{Cov}_x(r,(s-\mathbb{E}s)^2)|"
    r"\le\tfrac{\sqrt3}{18}\,R_x S_x^2",
    assumptions=("r and s bounded on the support", "R_x and S_x their ranges there"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("a constant 1 % smaller", shrunk_sides),
    not_applicable={"llm": "the bound is one of exact cumulants, which sampling only estimates"},
    proofs=proofs,
)
