"""T2: a finite tilt changes every reward by its covariance with the tilt's weight, normalised.

Δ_j(η) = E_x[Cov_x(r_j, e^{ηs}) / E_{π(.|x)} e^{ηs}] = E_x ∫_0^η Cov_{π_t}(r_j, s) dt.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.enumeration import tilted_change
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.tilt_strengths import tilt_strengths
from covlaw.theory.statements._support.tolerances import change_rounding, covariance_rounding
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.statements.tilts._tilt_path import covariance_along_tilt
from covlaw.theory.worlds.world import World


def weight_covariance(world: World, score: Tensor, eta: float, normalised: bool = True) -> Tensor:
    """E_x[Cov_x(r_j, e^{ηs}) / E_x e^{ηs}]: (M,); `normalised=False` leaves the denominator out.

    e^{ηs} is taken relative to the score's mean within its prompt, so that it cannot overflow;
    the quotient does not see it.
    """
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    weight = torch.exp(eta * groups.centre(score, mass))
    covariance = within_prompt_covariance(
        world.rewards, weight, world.prompt, mass, world.prompt_mass
    )
    normaliser = groups.sum(mass * weight) if normalised else torch.ones(len(groups.prompts))
    share = groups.sum(world.row_weight())
    return share @ (covariance.per_prompt / normaliser[:, None])


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The enumerated change, against the weight's covariance and against the path integral."""
    score = random_score(world, rng)
    parts = [_at(world, score, eta) for eta in tilt_strengths(world, score, rng, 2)]
    return joined(parts)


def _at(world: World, score: Tensor, eta: float) -> Part:
    change = tilted_change(world, world.rewards, score, eta)
    error = change_rounding(world, world.rewards, eta, score)
    integral = covariance_along_tilt(world, score, eta)
    along = abs(eta) * covariance_rounding(world, world.rewards, score, eta, score)
    return (
        change.repeat(2),
        torch.cat([weight_covariance(world, score, eta), integral.value]),
        torch.cat([error + _weight_rounding(world, score, eta), error + integral.error + along]),
    )


def _weight_rounding(world: World, score: Tensor, eta: float) -> Tensor:
    """Rounding of the quotient: E e^{ηs} ≥ 1 (Jensen, s centred) cannot enlarge it."""
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    weight = torch.exp(eta * groups.centre(score, mass))
    return covariance_rounding(world, world.rewards, weight, eta, score)


def unnormalised_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: E_x Cov_x(r_j, e^{ηs}), without the denominator."""
    score = random_score(world, rng)
    etas = tilt_strengths(world, score, rng, 2)
    forecast = [weight_covariance(world, score, eta, normalised=False) for eta in etas]
    change = [tilted_change(world, world.rewards, score, eta) for eta in etas]
    error = [_weight_rounding(world, score, eta) for eta in etas]
    return Sides(torch.cat(change), torch.cat(forecast), torch.cat(error))


@cache
def proofs() -> list[Proof]:
    """Three arms and any number, both forms."""
    from covlaw.theory.statements.tilts import _symbolic_tilt as symbolic

    rate, start = symbolic.integral_residual()
    change, slope = symbolic.finite_residual_any_arms()
    return [
        Proof("3 arms: Δ − Cov(r, e^{ηs})/E e^{ηs} = 0", symbolic.finite_residual()),
        Proof("3 arms: d/dη of the quotient − Cov_η(r, s) = 0", rate),
        Proof("3 arms: the quotient is 0 at η = 0", start),
        Proof("n arms: Δ − Cov(r, e^{ηs})/E e^{ηs} = 0", change),
        Proof("n arms: d/dη of the quotient − Cov_η(r, s) = 0", slope),
    ]


STATEMENT = Statement(
    id="T2",
    title="A finite tilt changes every reward by its normalised covariance with the weight",
    explanation="The covariance of a reward r_j and a training score s gives the slope of r_j at"
    " the start of a step. For a whole step of strength η the same holds without any"
    " approximation if s is replaced by the weight e^{ηs} that the step puts on a"
    " completion, divided by its mean. Old rollouts therefore contain the exact effect"
    " of a tilt of any size; equally, it is the sum of the covariances met on the way.",
    kind="identity",
    formula="E_{π_η} r_j − E_π r_j = E_x[Cov_x(r_j, e^{ηs}) / E_x e^{ηs}]"
    " = E_x ∫_0^η Cov_{π_t}(r_j, s) dt",
    latex=r"\Delta_j(\eta) = \mathbb{E}_x\!\left[\frac{\mathrm{Cov}_x(r_j, e^{\eta s})}"
    r"{\mathbb{E}_x e^{\eta s}}\right]"
    r" = \mathbb{E}_x\!\int_0^\eta\!\mathrm{Cov}_{\pi_t}(r_j, s)\,dt",
    assumptions=("π_η ∝ π e^{ηs} prompt by prompt", "E e^{ηs} < ∞ up to η", "r bounded"),
    source="known (exponential families)",
    needs=World,
    sides=sides,
    control=NegativeControl("without the normaliser E e^{ηs}", unnormalised_sides),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    proofs=proofs,
)
