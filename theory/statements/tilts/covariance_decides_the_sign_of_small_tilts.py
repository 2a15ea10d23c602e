"""T6: below explicit step thresholds a tilt moves every reward the way its covariance says.

sign Δ_j(η) = sign C_j for 0 < η < (a) 12√3·|C_j|/E_x[R_x S_x²], (b) x*/b and (b′)
32·|C_j|/(R S²) for one prompt, (c) the first zero of Δ_j.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.statements._support.adversaries import reversing_reward
from covlaw.theory.statements._support.enumeration import tilted_change
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.tilt_strengths import widest_range
from covlaw.theory.statements._support.tolerances import change_rounding, covariance_rounding
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.statements.tilts._tight_thresholds import one_prompt, several_prompts
from covlaw.theory.tilts.first_sign_change import first_sign_change
from covlaw.theory.tilts.thresholds import (
    one_prompt_range_threshold,
    one_prompt_threshold,
    range_threshold,
)
from covlaw.theory.tilts.tilt_problem import TiltProblem, tilt_problem
from covlaw.theory.worlds.world import World

FRACTIONS = (0.1, 0.5, 0.9, 0.999)
"""Of each threshold: where the claim is tried."""

UNBOUNDED = 50.0
"""η·max S tried in place of an infinite threshold."""

BEYOND = 1.1
"""The control's step, relative to the exact threshold."""

Threshold = Callable[[TiltProblem], Tensor]


def sides(world: World, rng: np.random.Generator) -> Sides:
    """C_j against Δ_j at four fractions of each threshold, for every reward with a decided C_j.

    And just below the closed forms where these are tight.
    """
    thresholds = (
        range_threshold,
        one_prompt_threshold,
        one_prompt_range_threshold,
        first_sign_change,
    )
    return joined([_signs(world, rng, thresholds, FRACTIONS), *tight(FRACTIONS[-1])])


def beyond_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the sign survives a step 10 % beyond the exact threshold."""
    return joined([_signs(world, rng, (first_sign_change,), (BEYOND,))])


def longer_ranges_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: (a) with 37/√3 in place of 12√3 = 36/√3."""
    del world, rng
    return joined(tight(37 / 36)[:1])


def longer_one_prompt_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: (b) a 32nd longer, where it is tight."""
    del world, rng
    return joined(tight(33 / 32)[1:2])


def longer_one_prompt_ranges_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: (b′) with 33 in place of 32."""
    del world, rng
    return joined(tight(33 / 32)[2:])


def tight(fraction: float) -> tuple[Part, ...]:
    """Δ and C of the examples at `fraction` of (a), (b) and (b′)."""
    several, one = several_prompts(), one_prompt()
    return (
        _at_a_threshold(*several, range_threshold, fraction),
        _at_a_threshold(*one, one_prompt_threshold, fraction),
        _at_a_threshold(*one, one_prompt_range_threshold, fraction),
    )


def _at_a_threshold(world: World, score: Tensor, threshold: Threshold, fraction: float) -> Part:
    problem = _problem(world, world.rewards, score)
    change, error = _at(world, world.rewards, score, fraction * float(threshold(problem)[0]))
    return problem.law.new_tensor([change]), problem.law, problem.law.new_tensor([error])


def _problem(world: World, rewards: Tensor, score: Tensor) -> TiltProblem:
    mass = world.log_prob_at().exp()
    return tilt_problem(rewards, score, Grouping(world.prompt, mass, world.prompt_mass))


def _signs(
    world: World,
    rng: np.random.Generator,
    thresholds: Sequence[Threshold],
    fractions: Sequence[float],
) -> Part:
    score = random_score(world, rng)
    # few of a world's own rewards ever turn: add one that does, at a moderate tilt
    rewards = torch.cat([world.rewards, reversing_reward(world, score, rng)[:, None]], 1)
    problem = _problem(world, rewards, score)
    ends = torch.stack([threshold(problem) for threshold in thresholds])
    ends = ends.clamp(max=UNBOUNDED / widest_range(world, score))
    steps = torch.cat([fraction * ends for fraction in fractions])
    decided = problem.law.abs() > covariance_rounding(world, rewards, score)
    tried = ((steps > 0) & decided).nonzero()  # NaN where a threshold does not apply
    rows = [_at(world, rewards[:, [j]], score, float(steps[f, j])) for f, j in tried.tolist()]
    change, error = torch.tensor(rows, dtype=torch.float64).reshape(-1, 2).unbind(1)
    return change, problem.law[tried[:, 1]], error


def _at(world: World, reward: Tensor, score: Tensor, eta: float) -> tuple[float, float]:
    change = tilted_change(world, reward, score, eta)
    return float(change), float(change_rounding(world, reward, eta, score))


@cache
def proofs() -> list[Proof]:
    """The steps behind the constant 32 (`tilts/thresholds.py`), and that none larger serves."""
    from covlaw.theory.statements.tilts import _symbolic_threshold as symbolic

    return [
        Proof("g(0) = g(1) for g(s) = s − e^{ηs}/(e^η − 1)", symbolic.equal_ends_residual()),
        Proof("range(g) = [coth x − 1/x + log(sinh x/x)/x]/2", symbolic.range_residual()),
        Proof("(x²/6 − log(sinh x/x))′ = (1 + x²/3 − x coth x)/x", symbolic.slope_residual()),
        Proof("x coth x − 1 = Σ 2x²/(x² + k²π²) ≤ Σ 2x²/k²π² = x²/3", symbolic.series_residual()),
        Proof("2/|κ(r, s, s)| → 32 for r = (0, 1, δ), δ → 0", symbolic.sharpness_residual()),
    ]


STATEMENT = Statement(
    id="T6",
    title="Below explicit thresholds a tilt moves every reward as its covariance says",
    explanation="The sign of the covariance C_j says whether a reward r_j will rise or fall while"
    " the policy is tilted along the score s. For small steps that is certain, for"
    " large ones it may fail; these three thresholds say how large is still safe, from"
    " the ranges R_x, S_x of reward and score, from one prompt's spread, or exactly by"
    " finding the first strength η at which the change returns to 0. A run that keeps"
    " its steps below one of them cannot be surprised by curvature.",
    kind="sign",
    formula="sign Δ_j = sign C_j for 0 < η < 12√3|C_j| / E_x[R_x S_x²]; one prompt:"
    " η < 32|C_j|/(R S²), or η < x*/b, (e^{x*} − 1 − x*)/x* = b|C_j|/(R_± Var s);"
    " exactly: η < first zero of Δ_j",
    latex=r"\mathrm{sign}\,\Delta_j = \mathrm{sign}\,C_j \quad\text{for}\quad"
    r"0<\eta<\frac{12\sqrt3\,|C_j|}{\mathbb{E}_x[R_x S_x^2]}",
    assumptions=("π_η ∝ π e^{ηs} prompt by prompt", "C_j ≠ 0", "η > 0"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("the sign survives 10 % beyond the exact threshold", beyond_sides),
    nearer=(
        NegativeControl("37/√3 in place of 12√3 = 36/√3", longer_ranges_sides),
        NegativeControl("x*/b a 32nd longer", longer_one_prompt_sides),
        NegativeControl("33 in place of 32", longer_one_prompt_ranges_sides),
    ),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    proofs=proofs,
)
