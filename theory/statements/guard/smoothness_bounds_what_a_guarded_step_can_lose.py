"""T60: along a guarded step an objective loses at most t²L_j|u*|²/2, so small steps lose nothing.

J_j(θ + t u*) ≥ J_j + t g_j·u* − t²L_j|u*|²/2, and no guarded objective falls for
t ≤ 2 min_j g_j·u*/(L_j|u*|²).
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.geometry.smoothness import log_linear_smoothness, tabular_smoothness
from covlaw.theory.statements._support.restricted_worlds import on_few_completions
from covlaw.theory.statements.base import NOTHING, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.gradients._log_linear import extremal_pair, log_linear
from covlaw.theory.statements.guard._guard_problems import GuardProblem
from covlaw.theory.worlds.world import World

LARGEST = 64
"""Completions; worlds of more are looked at given that the completion is one of six."""

FRACTIONS = (0.1, 0.5, 0.999)
"""Of the largest safe t."""

SHARE = 0.2
"""Floors, as shares of what the step could do for each objective at most."""


SHORT = 0.01
"""A step so short that the extremal pair loses L_j·t²/2 but for its ten-thousandth part."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """What is lost along t·u* against −t g·u* + t²L|u*|²/2, and against 0 up to the safe t.

    And on the two completions that bend most: there the bound is attained as t → 0.
    """
    return joined([_losses(world, rng, curvature=True), _most_bent(1.0)])


def first_order_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: an objective loses no more than its first-order effect says."""
    return joined([_losses(world, rng, curvature=False)])


def smaller_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: a curvature 1 % smaller, where it is attained."""
    return joined([_most_bent(0.99)])


@cache
def _most_bent(share: float) -> Part:
    """Loss along each objective's gradient, where no floor is missed, against its bound: (2,)."""
    pair = extremal_pair()
    both = replace(pair, rewards=torch.cat([pair.rewards, 1 - pair.rewards], 1), names=("r", "1-r"))
    smoothness = tabular_smoothness(both.rewards, both.prompt)
    gradients = value_gradients(both, both.rewards)
    steps = SHORT * gradients / gradients.norm(dim=1, keepdim=True)
    moved = torch.stack([both.value(both.theta + step)[j] for j, step in enumerate(steps)])
    bound = -SHORT * gradients.norm(dim=1) + share * SHORT**2 * smoothness / 2
    return both.value() - moved, bound, _value_rounding(both)


def _losses(world: World, rng: np.random.Generator, *, curvature: bool) -> Part:
    policy, smoothness = _smooth_policy(world, rng)
    problem, weights = _guarded(policy, rng)
    moved = problem.moved(weights)
    effects = problem.effects(moved)
    doubt = problem.effect_rounding(weights)
    length = problem.length(moved)
    bend = smoothness * problem.metric.max() * length  # |v|² ≤ P_max·(v'P⁻¹v)
    live = (bend > 0) & (effects > doubt)
    if not bool(live.any()):
        return NOTHING
    safe = (2 * effects / torch.where(bend > 0, bend, 1.0))[live].min()
    parts: list[Part] = []
    for fraction in FRACTIONS:
        t = fraction * safe
        lost = (policy.value() - policy.value(policy.theta + t * moved))[live]
        error = _value_rounding(policy)[live] + t * doubt[live]
        bound = -t * effects + (t**2 * bend / 2 if curvature else 0.0)
        parts.append((lost, bound[live], error))
        if curvature:
            parts.append((lost, torch.zeros_like(lost), error))
    measured, predicted, tolerance = (torch.cat(column) for column in zip(*parts, strict=True))
    return measured, predicted, tolerance


def _smooth_policy(world: World, rng: np.random.Generator) -> tuple[World, Tensor]:
    """A log-linear policy on the world's completions, and each L_j."""
    few = world if len(world.prompt) <= LARGEST else on_few_completions(world, rng)
    if rng.integers(2):
        features = torch.as_tensor(rng.normal(size=(len(few.prompt), int(rng.integers(2, 5)))))
        smoothness = log_linear_smoothness(few.rewards, features, few.prompt, few.prompt_mass)
        return log_linear(few, features), smoothness
    smoothness = tabular_smoothness(few.rewards, few.prompt, few.prompt_mass)
    return log_linear(few, torch.eye(len(few.prompt)).double()), smoothness


def _guarded(policy: World, rng: np.random.Generator) -> tuple[GuardProblem, Tensor]:
    """A random step guarded with positive floors, so that every effect leaves room."""
    gradients = value_gradients(policy, policy.rewards)
    metric = torch.as_tensor(10 ** rng.uniform(-0.5, 0.5, size=gradients.shape[1]))
    step = metric.sqrt() * torch.as_tensor(rng.normal(size=gradients.shape[1]))
    problem = GuardProblem(step, gradients, metric)
    reach = (problem.gramian().diagonal().clamp(min=0.0) * problem.length(step)).sqrt()
    return problem, problem.solve(SHARE * reach).weights


def _value_rounding(policy: World) -> Tensor:
    """A safe step moves a logit by 2|g_j|diam/L_j < 20 at most, as in T14."""
    operations = 8 * (len(policy.prompt) + policy.depth + 16 + 20)
    return rounding(policy.rewards.abs().amax(0), operations)


STATEMENT = Statement(
    id="T60",
    title="Smoothness bounds what a guarded step can lose, and says how far it is safe",
    explanation="The guard is first order: it keeps g_j·u*, the slope of each objective along the"
    " step. What a finite step loses beyond that is curvature, at most half of the smoothness"
    " constant L_j times the squared length. So steps up to a certain length lose nothing, and"
    " longer ones can be made safe by asking floors of that size instead of 0. In a training run"
    " the curvature is read off the exact change measured on other completions.",
    kind="bound",
    formula="J_j(θ + t u*) ≥ J_j(θ) + t g_j·u* − t² L_j |u*|²/2;"
    " no fall for t ≤ 2 min_j g_j·u*/(L_j |u*|²), nor at t = 1 with b_j = L_j |u*|²/2",
    latex=r"J_j(\theta+tu^*)\ge J_j(\theta)+t\,g_j\cdot u^*-\tfrac{t^2}{2}L_j|u^*|^2,\quad "
    r"t\le\min_j\frac{2g_j\cdot u^*}{L_j|u^*|^2}\Rightarrow\Delta J_j\ge0",
    assumptions=(
        "J_j is L_j-smooth in the metric's norm (here: log-linear softmax, L_j from T14 × max P)",
        "exact gradients",
    ),
    source="ours; descent lemma",
    needs=World,
    sides=sides,
    control=NegativeControl("the first order alone", first_order_sides),
    nearer=(NegativeControl("a curvature 1 % smaller", smaller_sides),),
    not_applicable={"llm": "an LLM's smoothness constant is not known"},
)
