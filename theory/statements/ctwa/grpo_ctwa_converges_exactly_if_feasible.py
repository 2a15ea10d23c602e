"""T37: with GRPO's advantage CTWA converges iff its targets are feasible, for small steps.

Feasible: Σλ_t ≤ (g(λ_0) − c·λ_0)/δ, δ = min over the simplex of g − c·μ. Infeasible: μ·u grows by
at least η(c·μ − g(μ)) a step.
"""

from functools import cache
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF
from covlaw.theory.dynamics.ctwa_bounds import grpo_potential, grpo_step_limit
from covlaw.theory.dynamics.ctwa_dynamics import Controller, ControllerState, ctwa_path
from covlaw.theory.estimators.headroom import Headroom, headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances
from covlaw.theory.statements._support.inapplicable import NO_EXACT_COVARIANCE_IN_AN_LLM
from covlaw.theory.statements.base import Ensemble, NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.ctwa._bundles_and_weights import full_rank, target_scale
from covlaw.theory.statements.ctwa._climbing import gain_part, grpo_climb, grpo_path
from covlaw.theory.statements.ctwa._problems import (
    COUNTEREXAMPLE_TARGETS,
    as_problems,
    counterexample,
    draw_problems,
    drawn_targets,
)
from covlaw.theory.statements.ctwa._std_rounding import mean_std_error, signal_error
from covlaw.theory.worlds.world import World

STEPS = 30
FEASIBLE, INFEASIBLE = 0.9, 1.1
"""Multiples of the largest reachable targets."""
NOTHING_LEFT = 1e-12
"""Weight of an objective that a bundle leaves out: its logarithm is finite."""


def sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """A climb at 90 % of the headroom, at the largest allowed step, and the growth at 110 %."""
    problems, shape, start, found = _drawn(instance, rng)
    feasible = FEASIBLE * found.lower[:, None] * shape
    step = grpo_step_limit(problems, feasible)
    climb = grpo_climb(problems, feasible, start, step, STEPS)
    demanding = INFEASIBLE * found.factor[:, None] * shape
    grown = growth(problems, demanding, start, found.bundle)
    return joined([*climb, grown, _from_the_bundle(problems, demanding, found)])


def any_rank_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: whatever the ranks. Two prompts, C_1 = [[1, −1], [−1, 1]], C_2 = I."""
    del instance, rng
    return _counterexample_sides()


def full_gain_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: f gains all that its slope promises, without the ½."""
    problems, shape, start, found = _drawn(instance, rng)
    feasible = FEASIBLE * found.lower[:, None] * shape
    step = grpo_step_limit(problems, feasible)
    return joined([gain_part(grpo_path(problems, feasible, start, step, STEPS), 1.0)])


def faster_growth_sides(instance: PromptCovariances | World, rng: np.random.Generator) -> Sides:
    """The false variant: the least growth of an infeasible bundle is 1 % more."""
    problems, shape, _, found = _drawn(instance, rng)
    rate, rise, error = _from_the_bundle(
        problems, INFEASIBLE * found.factor[:, None] * shape, found
    )
    return Sides(1.01 * rate, rise, error)


def _from_the_bundle(problems: PromptCovariances, targets: Tensor, found: Headroom) -> Part:
    """Growth from λ_0 = μ*, where μ·y = g(μ), so that the first step's is attained."""
    return growth(problems, targets, found.bundle.clamp(min=NOTHING_LEFT).log(), found.bundle)


def _drawn(
    instance: PromptCovariances | World, rng: np.random.Generator
) -> tuple[PromptCovariances, Tensor, Tensor, Headroom]:
    """Problems, targets, log-weights at the start, and by what the targets could grow."""
    problems = full_rank(as_problems(instance))
    shape = drawn_targets(rng, target_scale(problems))
    found = headroom(problems, shape)
    start = torch.as_tensor(rng.normal(size=tuple(shape.shape))) - target_scale(problems).log()
    return problems, shape, start, found


@cache
def _counterexample_sides() -> Sides:
    targets = torch.tensor([COUNTEREXAMPLE_TARGETS], dtype=torch.float64)
    step, start = torch.full((1,), 0.1, dtype=torch.float64), torch.zeros_like(targets)
    return joined(grpo_climb(counterexample(), targets, start, step, 1000))


def growth(problems: PromptCovariances, targets: Tensor, start: Tensor, bundle: Tensor) -> Part:
    """η(c·μ − g(μ)) under the growth of μ·u in every step, whatever the step: here η = 1/c_max.

    μ·y(λ) ≤ g(μ) for every λ, as y(λ) is in the body that g supports.
    """
    step = 1 / targets.amax(-1)
    states = islice(ctwa_path(problems, targets, start, Controller("grpo", step)), STEPS + 1)
    rows: list[Part] = []
    old: ControllerState | None = None
    rate = step * grpo_potential(problems, targets, bundle)
    for new in states:
        if old is not None:
            rise = (bundle * (new.log_weights - old.log_weights)).sum(-1)
            error = step[:, None] * signal_error(problems, _shares(old.log_weights))
            error = error + 4 * UNIT_ROUNDOFF * (new.log_weights.abs() + 1)
            rows.append((rate, rise, (bundle * error).sum(-1)))
        old = new
    error = step * mean_std_error(problems, bundle)
    measured, predicted, tolerance = (torch.stack(column) for column in zip(*rows, strict=True))
    return measured.flatten(), predicted.flatten(), (tolerance + error).flatten()


def _shares(log_weights: Tensor) -> Tensor:
    return (log_weights - log_weights.amax(-1, keepdim=True)).exp()


STATEMENT = Statement(
    id="T37",
    title="With GRPO's advantage CTWA converges for small steps exactly if its targets fit",
    kind="bound",
    formula="η L e^{ηD} ≤ 1, L = E_x λ_max(C_x)/√v*_x, D = max_j(c_j + E_x sd_x(r_j)):"
    " f = c·λ − g(λ) gains ≥ ½η Σ λ_j relu(c_j − y_j)² a step,"
    " Σλ_t ≤ (g(λ_0) − c·λ_0)/δ; infeasible: μ·u grows ≥ η(c·μ − g(μ)) a step",
    latex=r"\|\lambda_t\|_1\le\frac{g(\lambda_0)-c\cdot\lambda_0}{\delta},\quad"
    r"\delta=\min_{\mu\in\Delta}\left(g(\mu)-c\cdot\mu\right)>0",
    assumptions=(
        "advantage = centred score over the std of its prompt (GRPO), 0/0 := 0",
        "every prompt of positive mass: C_x = 0, or min over the simplex of μ'C_xμ > 0",
        "C_x frozen, no running mean; feasible part: η L e^{ηD} ≤ 1",
    ),
    source="ours (the step condition too)",
    explanation="g(μ) is the mean within-prompt standard deviation of a bundle of objectives. If "
    "every bundle's target stays below it, CTWA climbs a concave function: weights stay bounded "
    "and every covariance reaches its target. If one bundle's does not, the log-weights of that "
    "bundle grow for ever at a rate that says by how much it is too demanding.",
    needs=World,
    sides=sides,
    control=NegativeControl("whatever the rank of C_x", any_rank_sides),
    nearer=(
        NegativeControl("f gains η Σ λ_j d_j², without the ½", full_gain_sides),
        NegativeControl("growth from μ* itself 1 % faster", faster_growth_sides),
    ),
    ensemble=Ensemble(draw_problems, 140),
    not_applicable={"llm": NO_EXACT_COVARIANCE_IN_AN_LLM},
)
