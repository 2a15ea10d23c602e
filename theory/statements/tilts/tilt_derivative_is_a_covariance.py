"""T1: along an exponential tilt, every reward moves at the rate of its covariance with the score.

d/dη E_{π_η} r_j = E_x Cov_{π_η}(r_j, s), for every η and not only at 0.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.tilt_strengths import tilt_strengths
from covlaw.theory.statements._support.tolerances import covariance_rounding
from covlaw.theory.statements.base import NegativeControl, Proof, Sides, Statement
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World


def tilted_covariance(world: World, score: Tensor, eta: float) -> Tensor:
    """E_x Cov_{π_η}(r_j, s): (M,), by the estimator under the tilted masses."""
    mass = world.log_prob_at().exp()
    tilted = mass * tilt_log_ratio(score, eta, world.prompt, mass).exp()
    return within_prompt_covariance(
        world.rewards, score, world.prompt, tilted, world.prompt_mass
    ).estimate


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Complex-step derivative of the enumerated expectation, and the covariance, at four η ≠ 0."""
    return _compare(world, rng, frozen=False)


def frozen_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the covariance at η = 0, forecast for every η."""
    return _compare(world, rng, frozen=True)


def _compare(world: World, rng: np.random.Generator, frozen: bool) -> Sides:
    score = random_score(world, rng)
    etas = tilt_strengths(world, score, rng, 4)
    derivative = [tilted_derivative(world, world.rewards, score, eta) for eta in etas]
    covariance = [tilted_covariance(world, score, 0.0 if frozen else eta) for eta in etas]
    error = [covariance_rounding(world, world.rewards, score, eta, score) for eta in etas]
    return Sides(torch.cat(derivative), torch.cat(covariance), torch.cat(error))


@cache
def proofs() -> list[Proof]:
    """Three arms at every η, and any number of arms."""
    from covlaw.theory.statements.tilts import _symbolic_tilt as symbolic

    return [
        Proof("3 arms, all η: dJ/dη − Cov_η(r, s) = 0", symbolic.derivative_residual()),
        Proof("n arms, all η: dJ/dη − Cov_η(r, s) = 0", symbolic.derivative_residual_any_arms()),
    ]


STATEMENT = Statement(
    id="T1",
    title="Along an exponential tilt every reward moves at the rate of its covariance",
    explanation="Tilting a policy means multiplying the probability of each completion by e^{ηs}"
    " and rescaling, which is what an ideal policy-gradient step along a training"
    " score s does. While η grows, the expected reward r_j changes at the rate of the"
    " covariance of r_j and s within each prompt, under the policy reached so far. So"
    " an objective is sacrificed exactly when its reward is anti-correlated with what"
    " the run trains on, and rollouts show that before the step is taken.",
    kind="identity",
    formula="d/dη E_{π_η}[r_j] = E_x Cov_{π_η}(r_j, s) for every η",
    latex=r"\frac{d}{d\eta}\,\mathbb{E}_{\pi_\eta}[r_j]"
    r" = \mathbb{E}_x\,\mathrm{Cov}_{\pi_\eta}(r_j, s)",
    assumptions=("π_η ∝ π e^{ηs} prompt by prompt", "E e^{ηs} < ∞ near η", "r bounded"),
    source="Lu & Jiang 2026 (the covariance law); every η: differentiate the ratio",
    needs=World,
    sides=sides,
    control=NegativeControl("the covariance at η = 0, for every η", frozen_sides),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    proofs=proofs,
)
