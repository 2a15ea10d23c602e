"""T5: the covariance law's first-order forecast errs at most quadratically, with the best constant.

|Δ_j − η·C_j| ≤ (√3/36)·η²·E_x[R_x S_x²] and ≤ η²·E_x[R_x Var_x(s) φ(|η| S_x)].
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.adversaries import extremal_indicator
from covlaw.theory.statements._support.enumeration import tilted_change
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.tilt_strengths import tilt_strengths
from covlaw.theory.statements._support.tolerances import change_rounding, covariance_rounding
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.tilts.remainder import remainder_bounds
from covlaw.theory.worlds.world import World

SHRUNK = 36 / 40
"""The control's constant √3/40, relative to √3/36."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Both bounds, on the world's rewards and on the reward that makes them tight."""
    score, extremal = random_score(world, rng), extremal_indicator(world, rng)
    cases = [
        *((world.rewards, score, eta) for eta in tilt_strengths(world, score, rng, 2)),
        (extremal[:, None], extremal, _small(rng)),
    ]
    parts = [remainder_sides(world, *case) for case in cases]
    return joined(parts)


def shrunk_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the constant √3/40, against the extremal reward."""
    extremal = extremal_indicator(world, rng)
    own = remainder_sides(world, extremal[:, None], extremal, _small(rng))
    return Sides(own[0][:1], SHRUNK * own[1][:1], own[2][:1])


def variance_sides(world: World, rng: np.random.Generator) -> Sides:
    """The second bound a tenth smaller, against the rarest completion's indicator."""
    rarest = torch.zeros_like(world.log_prob_at())
    rarest[world.log_prob_at().argmin()] = 1.0
    own = remainder_sides(world, rarest[:, None], rarest, abs(_small(rng)))
    return Sides(own[0][1:], 0.9 * own[1][1:], own[2][1:])


def remainder_sides(world: World, rewards: Tensor, score: Tensor, eta: float) -> Part:
    """|Δ − η·C| of each reward (M,), twice; the two bounds; the rounding of the difference."""
    mass = world.log_prob_at().exp()
    groups = (world.prompt, mass, world.prompt_mass)
    law = within_prompt_covariance(rewards, score, *groups).estimate
    remainder = (tilted_change(world, rewards, score, eta) - eta * law).abs()
    bounds = torch.cat(remainder_bounds(rewards, score, eta, *groups))
    error = change_rounding(world, rewards, eta, score)
    error = error + abs(eta) * covariance_rounding(world, rewards, score)
    return remainder.repeat(2), bounds, error.repeat(2) + rounding(bounds, 64)


def _small(rng: np.random.Generator) -> float:
    """Draw the η at which the extremal reward nearly attains the first bound."""
    return float(rng.choice([-1, 1]) * 10 ** -rng.uniform(1, 2))


STATEMENT = Statement(
    id="T5",
    title="The first-order forecast of a tilt errs at most quadratically in the tilt",
    explanation="A forecast that multiplies the covariance C_j of a reward r_j and a training"
    " score s by the step's strength η is a straight line. Here R_x and S_x are the"
    " ranges of reward and score within a prompt, and the error of the line is at most"
    " .0481·η²·R·S² on average over prompts. Halving a step thus quarters the doubt"
    " about its forecast, and no smaller constant is true for every policy.",
    kind="bound",
    formula="|Δ_j − η C_j| ≤ (√3/36) η² E_x[R_x S_x²] and ≤ η² E_x[R_x Var_x(s) φ(|η| S_x)],"
    " φ(b) = (e^b − 1 − b)/b²",
    latex=r"|\Delta_j-\eta\,C_j| \le \tfrac{\sqrt3}{36}\,\eta^2\,\mathbb{E}_x[R_x S_x^2],\quad"
    r"|\Delta_j-\eta\,C_j| \le \eta^2\,\mathbb{E}_x[R_x\mathrm{Var}_x(s)\,\varphi(|\eta|S_x)]",
    assumptions=("π_η ∝ π e^{ηs} prompt by prompt", "r and s bounded on the support"),
    source="ours (constant from the third-cumulant lemma T4, optimal as η → 0)",
    needs=World,
    sides=sides,
    control=NegativeControl("the constant √3/40 instead of √3/36", shrunk_sides),
    nearer=(NegativeControl("the bound by the variance a tenth smaller", variance_sides),),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
)
