"""T48: at a scalarised optimum, the others' pull tells what an objective lost, from both sides.

|h|²/(2L_jλ_j²) ≤ J_j^max − J_j(θ*) ≤ |h|²/(2μ_jλ_j²), h = Σ_{k≠j} λ_k∇J_k(θ*); and ascent on λ·J
lowers J_j by at most (1/λ_j) Σ_{k≠j} λ_k(J_k^max − J_k(θ_0)).
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements._support.inapplicable import NO_TILT_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import random_world
from covlaw.theory.statements._support.scaled import one_percent_less
from covlaw.theory.statements.base import (
    NOTHING,
    Ensemble,
    NegativeControl,
    Part,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.convergence import _bumpy as bumpy
from covlaw.theory.statements.convergence._interference_bounds import (
    interference,
    regression_bound,
    sacrifice_bounds,
)
from covlaw.theory.statements.convergence._tangled_problems import TangledBatch, draw_tangled
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.world import World

CONFLICT = (0.49, 0.51)
"""Weights of a reward and its opposite: nearly tight, since λ_1 is just below λ_2."""


def sides(source: World | TangledBatch, rng: np.random.Generator) -> Sides:
    """Sandwich and regression bound on PL functions; the regression bound on policies."""
    if isinstance(source, World):
        return joined(policy_regressions(source, rng))
    reached = source.ascend(source.start)
    return joined([*_sandwich(source, source.polish(reached)), _regression(source, reached)])


def stationary_sides(source: World | TangledBatch, _: np.random.Generator) -> Sides:
    """The false variant: the regression bound at a merely stationary point.

    J_1 = −f(x), J_2 = −f(x − 3), f = x² + 3 sin² x, λ = (.48, .52), θ_0 = 2.654, θ* = .3835 (T49):
    J_2 falls by 7.135, more than 7.110.
    """
    point = torch.tensor([[2.654, 2.654 - 3], [0.3835, 0.3835 - 3]], dtype=torch.float64)
    before, after = bumpy.value(point)
    bound = regression_bound(before.new_tensor([0.48, 0.52]), before)
    return Sides((after - before)[1:], bound[1:], rounding(bound, 64)[1:])


def unsquared_sides(source: World | TangledBatch, rng: np.random.Generator) -> Sides:
    """The false variant: λ_j in place of λ_j² in the sandwich, of PL functions alone."""
    if isinstance(source, World):
        return joined([NOTHING])
    low, high = _sandwich(source, source.polish(source.ascend(source.start)), power=1)
    return joined([low, high])


def lower_end_sides(source: World | TangledBatch, _: np.random.Generator) -> Sides:
    """The false variant: the sandwich's lower end 1 % higher, of PL functions alone."""
    if isinstance(source, World):
        return joined([NOTHING])
    least, gap, error = _sandwich(source, source.polish(source.ascend(source.start)))[0]
    return Sides(1.01 * least, gap, error)


def upper_end_sides(source: World | TangledBatch, _: np.random.Generator) -> Sides:
    """The sandwich's upper end, of PL functions alone."""
    if isinstance(source, World):
        return joined([NOTHING])
    return joined([_sandwich(source, source.polish(source.ascend(source.start)))[1]])


def less_regression_sides(source: World | TangledBatch, rng: np.random.Generator) -> Sides:
    """The false variant: a regression bound a tenth smaller, on policies alone."""
    if not isinstance(source, World):
        return joined([NOTHING])
    own = joined(policy_regressions(source, rng))
    return own._replace(predicted=0.9 * own.predicted)


def _sandwich(batch: TangledBatch, theta: Tensor, power: int = 2) -> list[Part]:
    """Both ends, least ≤ gap and gap ≤ most, for every objective: (B·M,) each."""
    gradients, gap = batch.gradients(theta), batch.losses(theta)
    bounds = sacrifice_bounds(batch.weights, gradients, batch.mu, batch.smoothness)
    least, most = (bound * batch.weights ** (2 - power) for bound in bounds)
    # θ* is stationary up to a residual, and h is −λ_j∇J_j up to the same
    residual = batch.total_gradient(theta).norm(dim=1, keepdim=True)
    size = batch.smoothness * (theta.norm(dim=1) + batch.centre.norm(dim=2).amax(0))[:, None]
    noise = rounding((batch.weights * size).sum(1, keepdim=True), 200)
    pull, miss = interference(batch.weights, gradients).norm(dim=2), residual + noise
    error = (2 * pull + miss) * miss / batch.weights.square()
    error = torch.stack([error / (2 * batch.smoothness), error / (2 * batch.mu)])
    error = error + rounding(torch.stack([least, most]), 2000)
    error = error + (2 * batch.smoothness * gap).sqrt() * rounding(size / batch.smoothness, 200)
    found = (residual <= 1e3 * noise)[:, 0]
    return [
        tuple(side[found].flatten() for side in part)  # type: ignore[misc]
        for part in ((least, gap, error[0]), (gap, most, error[1]))
    ]


def _regression(batch: TangledBatch, theta: Tensor) -> Part:
    """J_j(θ_0) − J_j(θ) after monotone ascent, against the bound: (B·M,) each."""
    before, after = batch.losses(batch.start), batch.losses(theta)
    bound = regression_bound(batch.weights, before)
    # an ascent of gains below rounding may lose that much of λ·J
    lost = rounding((batch.weights * (before + after)).sum(1, keepdim=True), 2000) / batch.weights
    return (after - before).flatten(), bound.flatten(), (lost + rounding(bound, 64)).flatten()


def policy_regressions(world: World, rng: np.random.Generator) -> list[Part]:
    """Fall of each objective under a tilt along λ·r, and of a reward against its opposite."""
    count = world.rewards.shape[1]
    weights = 0.02 + torch.as_tensor(rng.dirichlet(np.ones(count)))
    first = world.rewards[:, :1]
    pair = torch.cat([first, -first], 1)
    return [
        _policy_regression(world, world.rewards, weights, float(10 ** rng.uniform(-1, 1.5))),
        _policy_regression(world, pair, weights.new_tensor(CONFLICT), 1e3),
    ]


def _policy_regression(world: World, rewards: Tensor, weights: Tensor, strength: float) -> Part:
    """Tilt along λ·r by `strength`, in units of 1/range: (M,) each. λ·J can only rise."""
    groups, mass = group_by_prompt(world.prompt), world.log_prob_at().exp()
    score = rewards @ weights
    span = float(groups.span(score).max())
    if span <= float(rounding(score.abs().max(), 8)):
        return NOTHING
    log_ratio = tilt_log_ratio(score, strength / span, world.prompt, mass)
    row = world.row_weight()
    change = (row * torch.expm1(log_ratio)) @ rewards
    top = torch.full((len(groups.counts), rewards.shape[1]), -torch.inf, dtype=torch.float64)
    index = groups.position[:, None].expand_as(rewards)
    room = groups.spread(top.scatter_reduce(0, index, rewards, "amax")) - rewards
    bound = regression_bound(weights, row @ room)
    size = (weights * rewards.abs().amax(0)).sum() / weights + bound
    operations = 16 * (len(row) + 16) + int(16 * strength * (1 + float(score.abs().max()) / span))
    return -change, bound, rounding(size, operations)


def _draw(rng: np.random.Generator, count: int) -> Iterator[World | TangledBatch]:
    """Yield PL problems, and one policy for every fifteen of them."""
    policies = count // 16
    yield from draw_tangled(rng, count - policies)
    yield from (random_world(rng) for _ in range(policies))


STATEMENT = Statement(
    id="T48",
    title="What a scalarised optimum costs an objective is sandwiched by the pull of the others",
    kind="bound",
    formula="|h|²/(2L_jλ_j²) ≤ J_j^max − J_j(θ*) ≤ |h|²/(2μ_jλ_j²), h = Σ_{k≠j} λ_k∇J_k(θ*);"
    " J_j(θ*) − J_j(θ_0) ≥ −(1/λ_j) Σ_{k≠j} λ_k (J_k^max − J_k(θ_0))",
    latex=r"\frac{|h|^2}{2L_j\lambda_j^2}\le J_j^{\max}-J_j(\theta^*)\le"
    r"\frac{|h|^2}{2\mu_j\lambda_j^2},\qquad h=\sum_{k\ne j}\lambda_k\nabla J_k(\theta^*)",
    assumptions=(
        "sandwich: θ* stationary for Σ λ_k J_k, λ_j > 0, J_j μ_j-PL and L_j-smooth (PL functions)",
        "regression: λ_k ≥ 0 and λ·J(θ*) ≥ λ·J(θ_0): a global maximiser, or monotone ascent from"
        " θ_0 (any policy; here tilts along λ·r)",
    ),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl(
        "the regression bound at a merely stationary θ* (the spurious optimum of T49)",
        stationary_sides,
    ),
    nearer=(
        NegativeControl("λ_j in place of λ_j² in the sandwich", unsquared_sides),
        NegativeControl("the sandwich's lower end 1 % higher", lower_end_sides),
        one_percent_less(upper_end_sides, "the sandwich's upper end"),
        NegativeControl("on policies a tenth less regression", less_regression_sides),
    ),
    ensemble=Ensemble(_draw, 512),
    not_applicable={"llm": NO_TILT_IN_AN_LLM},
    explanation="A run that maximises a weighted sum of objectives stops where their gradients"
    " cancel, not where each is best. How much objective j is left short is then fixed, up to the"
    " ratio L_j/μ_j, by h, the weighted pull of all the others at that point. And from any start an"
    " objective can fall by no more than what the others, weighted, still had to gain: the larger"
    " its own weight λ_j, the smaller the damage.",
)
