"""E1: on a frozen policy CTWA ends at its targets iff they are feasible."""

import numpy as np

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import mean_std
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
from covlaw.theory.statements.scalarization._frozen_ctwa import ASKED, Frozen, frozen_at, run_loop
from covlaw.theory.statements.scalarization._frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    conflict_worlds,
)
from covlaw.theory.worlds.world import World

REQUIRED, EXCESSIVE = 0.9, 1.1
"""Shares of t*: CTWA is asked for ASKED, since it approaches from below, and must reach the first;
the second is infeasible."""

LONGEST, UNCLEAR_STEPS, INFEASIBLE_STEPS = 4000, 80, 20


def sides(world: World, rng: np.random.Generator) -> Sides:
    """What is missing on the way, what is reached; above t*, T37's rate against the log-weights."""
    frozen = frozen_at(world, rng)
    if frozen is None:
        return joined([NOTHING])
    return joined([*_feasible(frozen), *_infeasible(frozen)])


def any_target_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: weights that grow long enough reach any target."""
    frozen = frozen_at(world, rng)
    if frozen is None:
        return joined([NOTHING])
    excessive = EXCESSIVE * frozen.room.factor * frozen.direction
    step = 1 / float(excessive.max())
    stuck = run_loop(frozen, excessive, excessive, step, 2 * INFEASIBLE_STEPS).observed
    return Sides(excessive, stuck, frozen.error.expand_as(stuck))


def infeasible_sides(world: World, rng: np.random.Generator) -> Sides:
    """What is claimed above t* alone."""
    frozen = frozen_at(world, rng)
    return joined([NOTHING] if frozen is None else _infeasible(frozen))


def _feasible(frozen: Frozen) -> list[Part]:
    """Σ_t Σ_j λ_j relu(c_j − y_j)² against its budget; y against c where it is waited for."""
    target, required = (k * frozen.room.lower * frozen.direction for k in (ASKED, REQUIRED))
    step = frozen.step(target)
    end = run_loop(frozen, target, required, step, LONGEST if frozen.clear else UNCLEAR_STEPS)
    budget = frozen.budget(target, step)
    # errors e of y change a summand λd² by λe(2d + e), and 2Σλd ≤ Σλ(d² + 1)
    weight = (1 + end.steps) * end.log_weights.exp().sum()
    slack = frozen.error * (end.missed + 2 * weight) + rounding(budget, 8 * (end.steps + 16))
    parts = [(end.missed[None], budget[None], slack[None])]
    if frozen.clear:
        parts.append((required, end.observed, frozen.error.expand_as(required)))
    return parts


def _infeasible(frozen: Frozen) -> list[Part]:
    """The log-weights' growth over its rate, and the smallest y_j/c_j under t*."""
    room, excessive = frozen.room, EXCESSIVE * frozen.room.factor * frozen.direction
    step = 1 / float(excessive.max())  # any: the weights grow at this rate whatever η
    end = run_loop(frozen, excessive, excessive, step, INFEASIBLE_STEPS)
    excess = excessive @ room.bundle - mean_std(frozen.covariances, room.bundle)
    rate = step * excess
    growth, size = room.bundle @ end.log_weights, room.bundle.sum()
    error = rounding(size * (1 + end.log_weights.max()), 8 * INFEASIBLE_STEPS)
    error = error + frozen.error * size
    least = (end.observed / frozen.direction).amin()
    return [
        ((INFEASIBLE_STEPS * rate)[None], growth[None], error[None]),
        (least[None], room.factor[None], (frozen.error / frozen.direction.min())[None]),
    ]


STATEMENT = Statement(
    id="E1",
    title="On a frozen policy CTWA meets its targets exactly when they are feasible",
    explanation="CTWA raises the log-weight of every objective whose covariance with the signal is"
    " below its target. With a signal normalised within prompts, the targets c can grow by a"
    " factor t* before some bundle of objectives asks for more than its mean within-prompt std."
    " Below t* the scalarizer's own loop ends with every covariance at target, though some may be"
    " violated on the way: what is missing, squared, weighed and added up over all steps, has a"
    " budget that is known beforehand. Above t* no weights reach the targets, and the log-weights"
    " grow for ever at a known rate.",
    kind="bound",
    formula="c < t*: Cov(r_j, Ahat) ≥ c_j after convergence, and"
    " Σ_t Σ_j λ_j relu(c_j − y_j)² ≤ 2(g(λ_0) − c·λ_0)/η; c > t*: min_j y_j/c_j ≤ t*/c and"
    " μ*·u grows by ≥ η(c·μ* − g(μ*)) a step",
    latex=r"c<t^*:\ \mathrm{Cov}(r_j,\hat A)\ge c_j,\ \sum_{t,j}\lambda_j(c_j-y_j)_+^2\le"
    r"\tfrac{2}{\eta}(g(\lambda_0)-c\cdot\lambda_0);\qquad "
    r"c>t^*:\ \mu^*\!\cdot u_{t+1}\ge\mu^*\!\cdot u_t+\eta\,(c\cdot\mu^*-g(\mu^*))",
    assumptions=(
        "frozen policy, exact statistic, no EMA",
        "signal normalised by the prompts' std or by the pooled within-prompt std",
        "v*_x = min over the simplex of λ'C_xλ > 0 in every prompt (T35), beyond its rounding",
        "feasible targets: step η·L·e^{ηD} ≤ 1, L = E_x λ_max(C_x)/√v*_x,"
        " D = max_j(c_j + E_x sd_x(r_j))",
        "targets 0.95 t*, of which 0.90 t* must be reached: weights approach from below",
        "that they are reached is judged where v*_x > 0.01·max_j Var_x(r_j) in every prompt:"
        " towards 0 the steps become too many to wait for, and the budget alone is judged",
    ),
    source="ours (T36, T37), of the rule of Lu & Jiang 2026 (arXiv 2602.06869)",
    needs=World,
    sides=sides,
    control=NegativeControl("weights that grow long enough reach any target", any_target_sides),
    nearer=(one_percent_less(infeasible_sides, "above t*, growth and reach"),),
    ensemble=Ensemble(conflict_worlds, 60),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
