"""T52: trained on another sampler's completions, the covariance on *its* samples is the law.

Completions and baseline from μ, no correction: dJ_j = Cov_π(r_j, A·μ/π) = Cov_μ(r_j, s). With
weights min(π/μ, C) the law is that of A·min(1, C·μ/π) under π, within a margin of Cov_π(r_j, s).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.truncation import truncation_margin
from covlaw.theory.statements._support.enumeration import tilted_derivative
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World


class Sampler(NamedTuple):
    """Another policy μ on a world's completions, and the score to be trained."""

    gap: Tensor
    """(N,) log π − log μ."""
    mass: Tensor
    """(N,) μ."""
    score: Tensor
    """(N,) s."""
    steep: float
    """Largest |log| that a gap is the difference of, for its rounding."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The tilt's rate against Cov_μ(r_j, s); the truncated law within its margin of the target."""
    sampler = _draw(world, rng)
    own = _centred(sampler.score, sampler.mass, world)
    return joined([_uncorrected(world, sampler, own), *_truncated(world, sampler, rng)])


def wrong_baseline(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the baseline is the trainer's mean of s, E_π s."""
    sampler = _draw(world, rng)
    own = _centred(sampler.score, world.log_prob_at().exp(), world)
    return joined([_uncorrected(world, sampler, own)])


def target_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the law is the covariance under the policy that is trained."""
    sampler = _draw(world, rng)
    mass = world.log_prob_at().exp()
    own = _centred(sampler.score, sampler.mass, world)
    measured, _, error = _uncorrected(world, sampler, own, apart=False)
    law = within_prompt_covariance(
        world.rewards, sampler.score, world.prompt, mass, world.prompt_mass
    )
    gap = (measured - law.estimate).abs()
    return Sides(gap, torch.zeros_like(gap), error)


def smaller_margin(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the margin 1 % smaller, which the worst reward exceeds."""
    sampler = _draw(world, rng)
    return joined([_truncated(world, sampler, rng, factor=0.99)[0]])


def _draw(world: World, rng: np.random.Generator) -> Sampler:
    mass, size = world.log_prob_at().exp(), float(10 ** rng.uniform(-2, 0.3))
    noise = torch.as_tensor(rng.normal(size=len(mass)))
    gap = -tilt_log_ratio(noise, size, world.prompt, mass)
    steep = size * float(noise.abs().max()) * 2
    return Sampler(gap, mass * (-gap).exp(), random_score(world, rng), steep)


def _centred(score: Tensor, mass: Tensor, world: World) -> Tensor:
    groups = group_by_prompt(world.prompt)
    return groups.centre(score, groups.share(mass))


def _uncorrected(world: World, sampler: Sampler, advantage: Tensor, apart: bool = True) -> Part:
    """|d/dη E r_j along A·μ/π, the natural step of μ's gradient, − Cov_μ(r_j, s)| ≤ 0."""
    signal = advantage * (-sampler.gap).exp()
    moved = tilted_derivative(world, world.rewards, signal, 0.0)
    error = _error(world, sampler, advantage)
    if not apart:
        return moved, moved, error
    law = within_prompt_covariance(
        world.rewards, sampler.score, world.prompt, sampler.mass, world.prompt_mass
    )
    gap = (moved - law.estimate).abs()
    return gap, torch.zeros_like(gap), error


def _truncated(
    world: World, sampler: Sampler, rng: np.random.Generator, factor: float = 1.0
) -> list[Part]:
    """The margin, prompt by prompt and with its worst reward; and no change where C is enough."""
    mass = world.log_prob_at().exp()
    advantage = _centred(sampler.score, sampler.mass, world)
    heaviest = float(sampler.gap[mass > 0].max())
    cap = float(np.exp(heaviest * rng.uniform(-0.5, 1)))
    lost = advantage * torch.expm1((np.log(cap) - sampler.gap).clamp(max=0.0))
    worst = (_centred(lost, mass, world) > 0).to(torch.float64)[:, None]
    rewards = torch.cat([world.rewards, worst], 1)
    found = truncation_margin(rewards, advantage, sampler.gap, cap, world.prompt, mass)
    change = (found.truncated.per_prompt - found.target.per_prompt).abs()
    error = _error(world, sampler, advantage, rewards).expand_as(change)
    margin = (change.reshape(-1), factor * found.bound.reshape(-1), error.reshape(-1))
    enough = float(np.exp(heaviest + sampler.steep * 1e-12 + 1e-12))
    whole = truncation_margin(rewards, advantage, sampler.gap, enough, world.prompt, mass)
    same = (whole.truncated.estimate - whole.target.estimate).abs()
    return [margin, (same, torch.zeros_like(same), torch.zeros_like(same))]


def _error(
    world: World, sampler: Sampler, advantage: Tensor, rewards: Tensor | None = None
) -> Tensor:
    """A covariance of bounded factors: μ/π rounds by its exponent, both masses by their depth."""
    values = world.rewards if rewards is None else rewards
    # under π the weights μ/π average to 1, so that max|r|·max|A| bounds every sum
    size = values.abs().amax(0) * advantage.abs().max()
    log_size = float(world.log_prob_at().clamp(min=-750).abs().max())
    rows = 8 * (len(world.prompt) + world.depth + 16)
    return rounding(8 * size, int(rows + 16 * (sampler.steep + log_size)))


def proofs() -> list[Proof]:
    """Three arms, any two policies."""
    from covlaw.theory.statements.surrogates._symbolic_surrogates import sampler_residual

    return [Proof("3 arms: Cov_π(r, A·μ/π) − Cov_μ(r, s) = 0", sampler_residual())]


STATEMENT = Statement(
    id="T52",
    title="On another sampler's completions the law is the covariance under that sampler",
    kind="bound",
    explanation="An inference engine, or an older policy, draws the completions; another policy π "
    "is trained on them as if they were its own. If the baseline is the mean of the sampler's own "
    "completions, π moves by the covariance on those very samples, whatever the mismatch: the law "
    "you can compute is right, but it is the law of the sampler, and π's own may have another "
    "sign. A baseline from π breaks even that. Truncated importance weights min(π/μ, C) aim at "
    "π's law and miss it by no more than the margin, which audits of runs with such weights "
    "report; where no weight is cut, they miss by nothing.",
    formula="samples and baseline from μ: dJ_j = Cov_π(r_j, A·μ/π) = Cov_μ(r_j, s);"
    " weights min(π/μ, C): |Cov_π(r_j, A·min(1, C·μ/π)) − Cov_π(r_j, A)| ≤ (R_j/2)·E_π|Y − E Y|,"
    " Y = A·(min(1, C·μ/π) − 1)",
    latex=r"dJ_j=\mathrm{Cov}_\pi\big(r_j,A\tfrac\mu\pi\big)=\mathrm{Cov}_\mu(r_j,s);\quad"
    r"\big|\mathrm{Cov}_\pi(r_j,A\min(1,C\tfrac\mu\pi))-\mathrm{Cov}_\pi(r_j,A)\big|"
    r"\le\tfrac{R_j}2\,\mathbb E_\pi|Y-\mathbb E_\pi Y|",
    assumptions=(
        "the step is the tilt along the expected signal (natural gradient of the full softmax)",
        "μ covers π; the baseline is μ's mean of s in the prompt",
        "one importance weight a completion",
    ),
    source="ours; truncated weights: Yao et al. 2025",
    needs=World,
    sides=sides,
    control=NegativeControl("the baseline is the trained policy's mean", wrong_baseline),
    nearer=(
        NegativeControl("the law is the trained policy's covariance", target_sides),
        NegativeControl("the margin 1 % smaller", smaller_margin),
    ),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    proofs=proofs,
)
