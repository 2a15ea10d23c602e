"""E1: on a frozen policy CTWA ends at its targets iff they are feasible."""

import numpy as np

from covlaw.theory.ctwa_signals import mean_std
from covlaw.theory.rounding import rounding
from covlaw.theory.statements.base import Ensemble, NegativeControl, Sides, Statement, joined
from covlaw.theory.statements.scalarization.frozen_ctwa import frozen_at, run
from covlaw.theory.statements.scalarization.frozen_worlds import (
    LAW_NEEDS_EXPECTATIONS,
    NOTHING,
    conflict_worlds,
)
from covlaw.theory.worlds import World

ASKED, REQUIRED, EXCESSIVE = 0.95, 0.9, 1.1
"""Shares of t*: CTWA asks for the first, since it approaches from below, and must reach the second;
the third is infeasible."""

LONGEST, INFEASIBLE_STEPS = 4000, 20


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Targets below t* against what is reached; above it, T37's rate against the log-weights."""
    frozen = frozen_at(world, rng)
    if frozen is None:
        return joined([NOTHING])
    c, room = frozen.direction, frozen.room
    _, reached = run(frozen, ASKED * room.lower * c, REQUIRED * room.lower * c, LONGEST)
    parts = [(REQUIRED * room.lower * c, reached, frozen.error.expand_as(c))]
    excessive = EXCESSIVE * room.factor * c
    log_weights, stuck = run(frozen, excessive, excessive, INFEASIBLE_STEPS)
    rate = frozen.step(excessive) * (
        excessive @ room.bundle - mean_std(frozen.covariances, room.bundle)
    )
    growth, size = room.bundle @ log_weights, room.bundle.sum()
    error = rounding(size * (1 + log_weights.max()), 8 * INFEASIBLE_STEPS) + frozen.error * size
    parts.append(((INFEASIBLE_STEPS * rate)[None], growth[None], error[None]))
    parts.append(((stuck / c).amin()[None], room.factor[None], (frozen.error / c.min())[None]))
    return joined(parts)


def any_target_sides(world: World, rng: np.random.Generator) -> Sides:
    """The false variant: weights that grow long enough reach any target."""
    frozen = frozen_at(world, rng)
    if frozen is None:
        return joined([NOTHING])
    excessive = EXCESSIVE * frozen.room.factor * frozen.direction
    _, stuck = run(frozen, excessive, excessive, 2 * INFEASIBLE_STEPS)
    return Sides(excessive, stuck, frozen.error.expand_as(stuck))


STATEMENT = Statement(
    id="E1",
    title="On a frozen policy CTWA meets its targets exactly when they are feasible",
    explanation="CTWA raises the log-weight of every objective whose covariance with the signal is"
    " below its target. With a signal normalised within prompts, the targets c can grow by a"
    " factor t* before some bundle of objectives asks for more than its mean within-prompt std."
    " Below t* the scalarizer's own loop ends with every covariance at target, though some may be"
    " violated on the way; above it no weights do, and the log-weights grow for ever at a known"
    " rate.",
    kind="bound",
    formula="c < t*: Cov(r_j, Ahat) ≥ c_j after convergence; c > t*: min_j y_j/c_j ≤ t*/c and"
    " μ*·u grows by ≥ η(c·μ* − g(μ*)) a step",
    latex=r"c<t^*:\ \mathrm{Cov}(r_j,\hat A)\ge c_j;\qquad"
    r"c>t^*:\ \mu^*\!\cdot u_{t+1}\ge\mu^*\!\cdot u_t+\eta\,(c\cdot\mu^*-g(\mu^*))",
    assumptions=(
        "frozen policy, exact statistic, no EMA",
        "signal normalised by the prompts' std or by the pooled within-prompt std",
        "min over the simplex of λ'C_xλ > 0 in every prompt (T35)",
        "small η; targets a little above what is required",
    ),
    source="ours (T36, T37), of the rule of Lu & Jiang 2026 (arXiv 2602.06869)",
    needs=World,
    sides=sides,
    control=NegativeControl("weights that grow long enough reach any target", any_target_sides),
    ensemble=Ensemble(conflict_worlds, 60),
    not_applicable={"llm": LAW_NEEDS_EXPECTATIONS},
)
