"""T10: when the law's term exceeds what the gaps can do together, its sign is the change's."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.budget import ShortBudget, short_budget
from covlaw.theory.estimators.covariance import exact_change
from covlaw.theory.statements._support.inapplicable import A_LIGHT_AUDIT
from covlaw.theory.statements._support.rollout_rounding import (
    change_error,
    ratio_size,
    row_weight,
    weighted_rounding,
)
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.worlds.updates import Update

SMALLER = 0.75
"""The nearer control's bound, relative to the gaps'."""


def sides(update: Update, _: np.random.Generator) -> Sides:
    """Realised change and law of the certified objectives."""
    budget = _budget(update)
    return _compare(update, budget, budget.sample_certified)


def any_law(update: Update, _: np.random.Generator) -> Sides:
    """Every objective with a law term, however big the gaps."""
    budget = _budget(update)
    return _compare(update, budget, budget.law != 0)


def smaller_bound(update: Update, _: np.random.Generator) -> Sides:
    """The law need only exceed 3 quarters of what the gaps can do, on the reward they turn."""
    if not update.rollouts.exact:
        budget = _budget(update)
        return _compare(update, budget, budget.law.abs() > SMALLER * budget.bound)
    reward = turned_reward(update)
    turned = replace(
        update,
        rollouts=replace(update.rollouts, rewards=reward[:, None], names=("turned",)),
        change=(row_weight(update.rollouts) * torch.expm1(update.fields.log_ratio) @ reward)[None],
    )
    budget = _budget(turned)
    return _compare(turned, budget, budget.law.abs() > SMALLER * budget.bound)


def turned_reward(update: Update) -> Tensor:
    """A reward whose law is positive, as far as the gaps can go, and which the update lowers: (N,).

    Of the law's field the part that is uncorrelated with ρ, less a little of ρ.
    """
    groups, weight = group_by_prompt(update.rollouts.prompt), row_weight(update.rollouts)
    mass = groups.share(update.rollouts.mass)
    law = groups.centre(_budget(update).scale * update.fields.score, mass)
    ratio = groups.centre(torch.expm1(update.fields.log_ratio), mass)
    cross, size = weight @ (law * ratio), weight @ ratio.square()
    if float(cross) == 0 or float(size) == 0:  # no law, or nothing moved
        return torch.zeros_like(law)
    left = weight @ law.square() - cross.square() / size
    return law - (cross / size + 0.01 * left / cross) * ratio


def _budget(update: Update) -> ShortBudget:
    return short_budget(update.rollouts.rewards, update.fields, *update.rollouts.groups)


def _compare(update: Update, budget: ShortBudget, listed: Tensor) -> Sides:
    rollouts, fields = update.rollouts, update.fields
    size = torch.stack([budget.scale * fields.score, fields.step, fields.log_ratio]).abs().sum(0)
    tolerance = weighted_rounding(rollouts, size + ratio_size(rollouts, fields.log_ratio), 4)
    # Of samples the bound certifies the sample covariance with ρ, which has its own error.
    law = exact_change(rollouts.rewards, fields.log_ratio, *rollouts.groups)
    combined = change_error(update, law)
    return Sides(
        update.change[listed],
        budget.law[listed],
        tolerance[listed],
        None if combined is None else combined[listed],
        None if combined is None else law.prompts.shape[0] - 1,
    )


STATEMENT = Statement(
    id="T10",
    title="Where the law exceeds the gaps' Cauchy–Schwarz bound, it has the sign of the change",
    explanation="One pass along the actual parameter change gives the law's term c_u·Cov(r_j, s),"
    " on the scale of the realised update whatever the optimiser. The rest, the gaps,"
    " cannot do more to a reward than its standard deviation times theirs"
    " (Cauchy–Schwarz). Where the law's term is larger, the sign of the objective's"
    " change is certified and not only forecast; elsewhere the run's direction on that"
    " objective is open. On samples both sides are sample covariances: what is certified is"
    " the sign of the sample's covariance with ρ, and of the change only as far as that has"
    " one.",
    kind="sign",
    formula="|c_u Cov(r_j, s)| > sd(r_j)·Σ sd(gap fields) ⇒ sign ΔJ_j = sign c_u Cov(r_j, s)",
    latex=r"|c_u\overline{\mathrm{Cov}}(r_j,s)|>\mathrm{sd}(r_j)\sum_i\mathrm{sd}(g_i)"
    r"\;\Rightarrow\;\mathrm{sign}\,\Delta J_j=\mathrm{sign}\,c_u\overline{\mathrm{Cov}}(r_j,s)",
    assumptions=("π_new > 0 where π_old > 0, and nowhere else",),
    source="ours",
    needs=Update,
    sides=sides,
    not_applicable={"pretrained": A_LIGHT_AUDIT},
    control=NegativeControl("certified without the gap bound", any_law),
    nearer=(NegativeControl("a gap bound a quarter smaller", smaller_bound),),
)
