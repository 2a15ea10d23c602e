"""T21: the variance of the sampled covariance, from K completions of each of P prompts.

Var Ĉ = [E_x((μ22 − C_x²)/K + (σ_r²σ_s² + C_x²)/(K(K−1))) + Var_x(C_x)]/P.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.sign_certificate import sampled_covariance_variance
from covlaw.theory.statements._support.batches import all_batches, from_an_own_completion
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements._support.tilt_strengths import widest_range
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.worlds.world import World


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Var Ĉ over all batches of K = 2 and of 3 or 4 completions of one prompt, and of two.

    On worlds of many completions: given that the completion is one of four, for three prompts.
    """
    few, score = _few(world, rng)
    sizes = (2, int(rng.integers(3, 5)))
    return joined([*(one_prompt_sides(few, score, k) for k in sizes), two_prompt_sides(few, score)])


def normal_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the textbook (σ_r²σ_s² + C²)/(K − 1), which needs normal (r, s)."""
    few, score = _few(world, rng)
    measured, _, error = one_prompt_sides(few, score, 2)
    return Sides(measured, _normal_variance(few, score, 2), error)


def squared_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: K² in place of K(K − 1)."""
    few, score = _few(world, rng)
    measured, forecast, error = one_prompt_sides(few, score, 3)
    variances, own, r = _moments(few, score)
    part = _share(few) @ (variances * own + r.square())
    return Sides(measured, forecast - part / 6 + part / 9, error)


def one_prompt_sides(few: World, score: Tensor, completions: int) -> Part:
    """One random prompt: the variance over the draw of the prompt and of its completions."""
    estimate, weight = _estimates(few, score, completions)
    measured = weight @ (estimate - weight @ estimate).square()
    return measured, _forecast(few, score, completions, 1), _rounding(few, len(estimate))


def two_prompt_sides(few: World, score: Tensor) -> Part:
    """The mean of two prompts drawn independently, two completions each: all pairs of batches."""
    estimate, weight = _estimates(few, score, 2)
    mean = (estimate[:, None] + estimate) / 2 - weight @ estimate
    measured = torch.einsum("a,b,abm->m", weight, weight, mean.square())
    return measured, _forecast(few, score, 2, 2), _rounding(few, len(estimate))


def _estimates(few: World, score: Tensor, completions: int) -> tuple[Tensor, Tensor]:
    """Ĉ (B, M) of every batch by the estimator, and the batches' probabilities (B,)."""
    batches = all_batches(few, completions)
    shown = few.rewards[batches.flat], score[batches.flat], batches.owner
    weight = _share(few)[batches.prompt] * batches.probability
    return within_prompt_covariance(*shown).per_prompt, weight / weight.sum()


def _forecast(few: World, score: Tensor, completions: int, prompts: int) -> Tensor:
    groups = (few.prompt, few.log_prob_at().exp(), few.prompt_mass)
    return sampled_covariance_variance(few.rewards, score, completions, prompts, *groups)


def _normal_variance(few: World, score: Tensor, completions: int) -> Tensor:
    variances, own, r = _moments(few, score)
    within = (variances * own + r.square()) / (completions - 1)
    share = _share(few)
    return share @ within + share @ (r - share @ r).square()


def _moments(few: World, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """σ_r² (P, M), σ_s² (P, 1) and C_x (P, M)."""
    mass, groups = few.log_prob_at().exp(), few.prompt
    columns = (few.rewards, score[:, None])
    r, s = (within_prompt_covariance(c, score, groups, mass).per_prompt for c in columns)
    variances = [
        within_prompt_covariance(c, c, groups, mass).per_prompt[:, 0] for c in few.rewards.T
    ]
    return torch.stack(variances, 1), s, r


def _few(world: World, rng: np.random.Generator) -> tuple[World, Tensor]:
    """Few completions, with rewards and a unit score (N,) that carry no offset."""
    few = on_few_completions(world, rng, completions=4)
    score = random_score(few, rng)
    shifted = from_an_own_completion(torch.cat([few.rewards, score[:, None]], 1), few.prompt)
    few = replace(few, rewards=shifted[:, :-1])
    return few, shifted[:, -1] / widest_range(few, score)


def _share(world: World) -> Tensor:
    """D(x) of each prompt: (P,)."""
    count = len(world.prompt.unique())
    uniform = torch.full((count,), 1 / count, dtype=torch.float64)
    return uniform if world.prompt_mass is None else world.prompt_mass


def _rounding(few: World, batches: int) -> Tensor:
    """Both sides are sums of products of two rewards and two scores, weighted over the batches."""
    scale = few.rewards.abs().amax(0).square()
    return rounding(scale, 64 * (batches + len(few.prompt) + 16))


@cache
def proofs() -> list[Proof]:
    """K = 2, 3, 4, any distribution."""
    from covlaw.theory.statements.sampling._symbolic_sampling import variance_residual

    claim = "K = {}: Var Ĉ − (μ22 − C²)/K − (σ_r²σ_s² + C²)/(K(K−1)) = 0"
    return [Proof(claim.format(k), variance_residual(k)) for k in (2, 3, 4)]


STATEMENT = Statement(
    id="T21",
    title="The variance of the sampled covariance has a closed form in four moments",
    explanation="Ĉ is the covariance of a reward r and a score s as read from K sampled completions"
    " of each of P prompts. Its variance has a part that falls as 1/K, a part that falls faster,"
    " and the spread of the covariance between prompts, which only more prompts reduce. From it one"
    " can plan a run: at a fixed number of samples a few completions of many prompts read the law"
    " far more precisely than many completions of few, and |Ĉ| above three standard errors is"
    " needed before its sign means anything.",
    kind="identity",
    formula="Var Ĉ = [E_x((μ22 − C_x²)/K + (σ_r²σ_s² + C_x²)/(K(K−1))) + Var_x(C_x)] / P,"
    " μ22 = E_x[(r − E r)²(s − E s)²]",
    latex=r"\mathrm{Var}\,\hat C=\frac1P\Big[\mathbb{E}_x\Big(\frac{\mu_{22}-C_x^2}{K}"
    r"+\frac{\sigma_r^2\sigma_s^2+C_x^2}{K(K-1)}\Big)+\mathrm{Var}_x(C_x)\Big]",
    assumptions=("prompts i.i.d. from D", "K ≥ 2 completions i.i.d. given their prompt"),
    source="known (U-statistics: Hoeffding 1948)",
    needs=World,
    sides=sides,
    control=NegativeControl("the formula for normal data, (σ_r²σ_s² + C²)/(K − 1)", normal_sides),
    nearer=(NegativeControl("K² in place of K(K − 1)", squared_sides),),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
    proofs=proofs,
)
