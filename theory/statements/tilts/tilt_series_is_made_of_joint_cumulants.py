"""T3: every derivative along a tilt is a joint cumulant, and their series converges for |η|S < π.

d^n/dη^n E_{π_η} r_j = E_x κ_{π_η}(r_j, s, …, s), so Δ_j(η) = Σ_n η^n/n!·E_x κ_x(r_j, s^{(n)}).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory._numerics.weighting import Grouping
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.tilt_strengths import tilt_strengths, widest_range
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.statements.tilts._cumulants import joint_cumulants, series_tail
from covlaw.theory.statements.tilts._taylor import (
    factorials,
    recursion_growth,
    taylor_coefficients,
)
from covlaw.theory.statements.tilts._tilted_means import (
    partition_turns,
    reward_range,
    roundings,
    share,
    tilted_means,
)
from covlaw.theory.tilts.tilt_problem import tilt_problem
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World

ORDERS, TERMS, NODES = 4, 32, 40
"""Derivatives compared; terms of the series; points on the circle of Cauchy's integral."""

INSIDE = 0.9
"""Of the zero-free radius π/S: where zeros are counted."""

Forecast = Callable[[World, Tensor, float], Tensor]


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Derivatives 1–4 at two η ≠ 0, the series at an |η|S < 2, and the zeros of E e^{ts}.

    s is divided by max_x S_x, so that a derivative is in units of reward.
    """
    score = _unit_score(world, rng)
    derivatives = [
        derivative_sides(world, score, eta, cumulant_coefficients)
        for eta in tilt_strengths(world, score, rng, 2)
    ]
    (weak,) = tilt_strengths(world, score, rng, 1, 2.0)
    return joined([*derivatives, _series_sides(world, score, weak), _zero_sides(world, score)])


def central_moment_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: E[A_j s̃^n], which is the cumulant for n = 1 and 2 only."""
    score = _unit_score(world, rng)
    (eta,) = tilt_strengths(world, score, rng, 1)
    return joined([derivative_sides(world, score, eta, _central_moment_coefficients)])


def derivative_sides(world: World, score: Tensor, eta: float, forecast: Forecast) -> Part:
    """Taylor coefficients 1–4 of J at η by Cauchy's integral on |t − η| = 1, and their forecast.

    Aliasing adds the coefficients n + NODES, n + 2·NODES, …: at most the series' tail at
    strength 1. The computed tilt errs by a few |η| roundings, sums by one a completion.
    """
    measured = taylor_coefficients(world, score, eta, ORDERS, NODES)
    widest = _widest_reward(world)
    error = rounding(widest, 64 * roundings(world, eta)) + series_tail(widest, 1.0, NODES)
    return measured.reshape(-1), forecast(world, score, eta).reshape(-1), error.repeat(ORDERS)


def cumulant_coefficients(world: World, score: Tensor, eta: float) -> Tensor:
    """E_x κ_{π_η}(r_j, s^{(n)})/n!: (ORDERS, M)."""
    rows = Grouping(world.prompt, _tilted_mass(world, score, eta), world.prompt_mass)
    cumulants = joint_cumulants(world.rewards, score, ORDERS, rows)
    return cumulants / factorials(ORDERS)


def _central_moment_coefficients(world: World, score: Tensor, eta: float) -> Tensor:
    mass = _tilted_mass(world, score, eta)
    problem = tilt_problem(world.rewards, score, Grouping(world.prompt, mass, world.prompt_mass))
    weight = problem.mass * problem.groups.spread(problem.prompt_mass)
    powers = problem.score ** torch.arange(1, ORDERS + 1)[:, None]
    return (weight * powers) @ problem.advantage / factorials(ORDERS)


def _series_sides(world: World, score: Tensor, eta: float) -> Part:
    values, at = world.rewards.numpy(), np.array([eta, 0.0])
    ends = np.einsum("p,epm->em", share(world), tilted_means(world, values, score.numpy(), at))
    groups = Grouping(world.prompt, world.log_prob_at().exp(), world.prompt_mass)
    terms = joint_cumulants(world.rewards, score, TERMS, groups) / factorials(TERMS)
    partial = eta ** torch.arange(1.0, TERMS + 1).double() @ terms
    widest = _widest_reward(world)
    error = rounding(
        widest * recursion_growth(abs(eta), TERMS), 64 * (roundings(world, eta) + TERMS)
    )
    return torch.as_tensor(ends[0] - ends[1]), partial, error + series_tail(widest, eta, TERMS)


def _zero_sides(world: World, score: Tensor) -> Part:
    """Each prompt at |t| < 0.9·π/S; s is scaled to S = 1 (or less in the other prompts)."""
    count = torch.as_tensor(partition_turns(world, score.numpy(), INSIDE * math.pi))
    return count, torch.zeros_like(count), torch.zeros_like(count)


def _unit_score(world: World, rng: np.random.Generator) -> Tensor:
    score = random_score(world, rng)
    return score / widest_range(world, score)


def _widest_reward(world: World) -> Tensor:
    return torch.as_tensor(reward_range(world, world.rewards.numpy()).max(0))


def _tilted_mass(world: World, score: Tensor, eta: float) -> Tensor:
    mass = world.log_prob_at().exp()
    return mass * tilt_log_ratio(score, eta, world.prompt, mass).exp()


@cache
def proofs() -> list[Proof]:
    """Any number of arms (moments are all that enters), orders 1–4."""
    from covlaw.theory.statements.tilts import _symbolic_cumulants as symbolic

    rules = [
        Proof("n arms: d/dη Σ π r s^k e^{ηs} − Σ π r s^{k+1} e^{ηs} = 0", symbolic.moment_rule())
    ]
    return rules + [
        Proof(f"n arms, order {n}: J^({n}) − κ(r, s^({n})) = 0", symbolic.cumulant_residual(n))
        for n in range(1, ORDERS + 1)
    ]


STATEMENT = Statement(
    id="T3",
    title="Every derivative along a tilt is a joint cumulant, and their series converges",
    explanation="π_η is the policy after shifting probability towards completions with a high"
    " score s, by strength η. The covariance is only the first term of how a reward r_j then"
    " changes; the n-th term is the joint cumulant of r_j with n copies of s. The series can be"
    " trusted as long as η times the score's range S stays below π, a radius that a fair coin"
    " shows to be the best. So the forecast of a training step can be refined term by term from"
    " the old policy's completions alone.",
    kind="identity",
    formula="d^n/dη^n E_{π_η} r_j = E_x κ_{π_η}(r_j, s, …, s);"
    " Δ_j(η) = Σ_n η^n/n!·E_x κ_x(r_j, s^{(n)}) for |η|·max_x S_x < π;"
    " E_x e^{ts} ≠ 0 for |t|·S_x < π",
    latex=r"\frac{d^n}{d\eta^n}\mathbb{E}_{\pi_\eta}r_j"
    r"=\mathbb{E}_x\,\kappa_{\pi_\eta}(r_j,\underbrace{s,\dots,s}_{n}),\quad"
    r"\Delta_j(\eta)=\sum_{n\ge1}\frac{\eta^n}{n!}\,\mathbb{E}_x\,\kappa_x(r_j,s^{(n)})"
    r"\ \text{for}\ |\eta|\max_x S_x<\pi",
    assumptions=("π_η ∝ π e^{ηs} prompt by prompt", "r and s bounded on the support"),
    source="known (cumulants of exponential families); radius π/S and tail: ours",
    needs=World,
    sides=sides,
    control=NegativeControl("central moments in place of cumulants", central_moment_sides),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    proofs=proofs,
)
