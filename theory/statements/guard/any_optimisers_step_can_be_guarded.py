"""T61: the guard holds for whatever step the optimiser took: momentum, decay, several inner steps.

Guarding the gradient instead and stepping then does not (GEM; F18).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.guard.metric import optimiser_metric
from covlaw.theory.solvers.least_change import guard_weights
from covlaw.theory.statements._support.gradient_rounding import (
    gradient_roundings,
    largest_score_norm,
)
from covlaw.theory.statements.base import NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.guard._guard_problems import NO_GRADIENTS_IN_AN_LLM, GuardProblem
from covlaw.theory.worlds.world import World

WARM, INNER = 2, 2
"""Steps on the first objective alone, which leave their momentum; and steps to be guarded."""

OPTIMISERS: dict[str, Callable[[nn.Parameter], Optimizer]] = {
    "AdamW": lambda p: torch.optim.AdamW([p], lr=0.03, weight_decay=0.05),
    "Adam, amsgrad": lambda p: torch.optim.Adam([p], lr=0.03, amsgrad=True),
    "SGD with momentum": lambda p: torch.optim.SGD([p], lr=0.3, momentum=0.9, weight_decay=0.02),
    "RMSprop": lambda p: torch.optim.RMSprop([p], lr=0.01, momentum=0.5),
}
"""Real optimisers; the gradient is clipped as well."""

Direction = Callable[[Tensor, Tensor], Tensor]
"""(gradients (M, D), weights (M,)) → the ascent direction given to the optimiser (D,)."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """−g_j·u* of the finished step, guarded in the optimiser's metric, against 0; |u*| to |u|.

    Gradients that are opposed to within √2^-53 look exactly so in their Gramian: what the programme
    then says it cannot meet, 1e-8 of |g_j||u| or less, is allowed for.
    """
    problem = _finished_step(world, rng, lambda g, share: share @ g)
    solved = problem.solve(torch.zeros(len(problem.gradients)).double())
    weights, norm = solved.weights, problem.gramian().diagonal().clamp(min=0.0).sqrt()
    unseen = solved.shortfall.minimum(2.0**-26 * norm * problem.length(problem.step).sqrt())
    moved = problem.moved(weights)
    falls = -problem.effects(moved)
    error = problem.effect_rounding(weights) + _gradient_rounding(world, problem.step)
    longer = problem.length(moved)[None], problem.length(problem.step)[None]
    return joined(
        [
            (falls, torch.zeros_like(falls), error + 2 * unseen),
            (*longer, problem.length_rounding(weights)[None]),
        ]
    )


def guarded_gradient_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: the gradient is projected (GEM), then the optimiser makes its step."""
    problem = _finished_step(world, rng, _projected)
    falls = -problem.effects()
    error = problem.effect_rounding(torch.zeros_like(falls))
    error = error + _gradient_rounding(world, problem.step)
    return joined([(falls, torch.zeros_like(falls), error)])


def _projected(gradients: Tensor, share: Tensor) -> Tensor:
    """λ·g, projected so that it has no negative product with any gradient, in the plain metric."""
    ascent = share @ gradients
    return ascent + guard_weights(gradients @ gradients.T, gradients @ ascent) @ gradients


def _finished_step(world: World, rng: np.random.Generator, direction: Direction) -> GuardProblem:
    """What a real optimiser did in `INNER` steps after `WARM` others, and its metric then."""
    parameter = nn.Parameter(world.theta.clone())
    name = sorted(OPTIMISERS)[int(rng.integers(len(OPTIMISERS)))]
    optimizer = OPTIMISERS[name](parameter)
    share = torch.as_tensor(rng.dirichlet(np.ones(world.rewards.shape[1])))
    alone = torch.zeros_like(share)
    alone[int(rng.integers(len(share)))] = 1.0
    for _ in range(WARM):
        _one_step(parameter, optimizer, alone @ _gradients(world, parameter))
    start = parameter.detach().clone()
    gradients = _gradients(world, parameter)
    for k in range(INNER):
        now = gradients if k == 0 else _gradients(world, parameter)
        _one_step(parameter, optimizer, direction(now, share))
    metric = optimiser_metric(optimizer, [parameter]).values.double()
    return GuardProblem(parameter.detach() - start, gradients, metric)


def _gradients(world: World, parameter: Tensor) -> Tensor:
    here = replace(world, theta=parameter.detach().clone(), cache={})
    return value_gradients(here, world.rewards)


def _gradient_rounding(world: World, step: Tensor) -> Tensor:
    """What rounding leaves of g_j·u where the objective is constant: (M,).

    Adam's second moment of such a gradient is 0, and so is its metric.
    """
    size = world.rewards.abs().amax(0) * largest_score_norm(world) * step.norm()
    return rounding(size, gradient_roundings(world))


def _one_step(parameter: nn.Parameter, optimizer: Optimizer, ascent: Tensor) -> None:
    parameter.grad = -ascent
    nn.utils.clip_grad_norm_([parameter], float(ascent.norm()) / 2 + 1e-12)
    optimizer.step()


STATEMENT = Statement(
    id="T61",
    title="Any optimiser's finished step can be guarded: momentum, decay and inner steps included",
    explanation="What moves a policy is not the gradient but the optimiser's step: momentum from"
    " earlier batches, Adam's division by the second moment, weight decay, clipping, several inner"
    " steps. The guard takes the difference of parameters before and after, so all of that is"
    " covered. Protecting the gradient and then letting the optimiser step is not the same: stale"
    " momentum alone can lower an objective that the gradient would have spared.",
    kind="bound",
    formula="u = θ_new − θ_old of any optimiser: g_j·u* ≥ 0 for all j, |u*| ≤ |u|",
    latex=r"u=\theta_{\mathrm{new}}-\theta_{\mathrm{old}}:\quad g_j\cdot u^*\ge0\ \text{for all }j,"
    r"\quad|u^*|\le|u|",
    assumptions=("floors 0", "g_j = ∇J_j at θ_old"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("the gradient guarded instead of the step", guarded_gradient_sides),
    not_applicable={"llm": NO_GRADIENTS_IN_AN_LLM},
)
