"""T9: the law and six named gaps add up to the realised change, exactly."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.budget import LawBudget, law_budget
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.inapplicable import A_LIGHT_AUDIT
from covlaw.theory.statements._support.rollout_rounding import ratio_size, weighted_rounding
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.worlds.updates import Update


def sides(update: Update, _: np.random.Generator) -> Sides:
    """Sum of the terms against the change; on samples against the sample Cov(r_j, ρ)."""
    return _compare(update, leave_out=())


def without_tilt(update: Update, _: np.random.Generator) -> Sides:
    """The chain stopped at log ρ."""
    return _compare(update, leave_out=("tilt",))


def second_order_tilt(update: Update, _: np.random.Generator) -> Sides:
    """½(log ρ)² in place of ρ − 1 − log ρ."""
    right, log_ratio = without_tilt(update, _), update.fields.log_ratio
    bend = within_prompt_covariance(
        update.rollouts.rewards, log_ratio.square() / 2, *update.rollouts.groups
    )
    return right._replace(measured=right.measured + bend.estimate)


def _compare(update: Update, leave_out: tuple[str, ...]) -> Sides:
    budget = law_budget(update.rollouts.rewards, update.fields, *update.rollouts.groups)
    terms = [term for name, term in budget.terms.items() if name not in leave_out]
    realised = update.change if update.rollouts.exact else budget.realised
    return Sides(torch.stack(terms).sum(0), realised, _tolerance(update, budget))


def _tolerance(update: Update, budget: LawBudget) -> Tensor:
    # Each field enters two neighbouring differences and cancels there up to the rounding of the
    # subtraction, so rounding is relative to the sum of the fields' sizes.
    fields = update.fields
    chain = [budget.scale * fields.score, *fields[1:]]
    size = torch.stack([before.abs() + after.abs() for before, after in pairwise(chain)]).sum(0)
    return weighted_rounding(
        update.rollouts, size + ratio_size(update.rollouts, fields.log_ratio), len(chain)
    )


STATEMENT = Statement(
    id="T9",
    title="The covariance law and six named gaps add up to the realised change",
    explanation="The covariance law forecasts a change from the training score s, while the exact"
    " change is a covariance with the probability ratio ρ. Between the two lie six"
    " named steps: the model's gradient geometry (kernel), clipping, the minibatch,"
    " the optimiser's rescaling, and two kinds of curvature. Their covariances with"
    " the reward add up exactly to the difference, so when a law's forecast fails in a"
    " run one can read off which step is to blame.",
    kind="identity",
    formula="ΔJ_j = Cov(r_j, f0) + Σ_i Cov(r_j, f_{i+1} − f_i), f0 = c·s, …, f5 = log ρ, f6 = ρ",
    latex=r"\Delta J_j=\overline{\mathrm{Cov}}(r_j,f_0)"
    r"+\sum_{i=0}^{5}\overline{\mathrm{Cov}}(r_j,f_{i+1}-f_i)",
    assumptions=(
        "π_new > 0 where π_old > 0, and nowhere else",
        "on K samples the terms add up to the sample covariance with ρ",
    ),
    source="ours",
    needs=Update,
    sides=sides,
    not_applicable={"pretrained": A_LIGHT_AUDIT},
    control=NegativeControl("tilt gap left out: log ρ in place of ρ", without_tilt),
    nearer=(NegativeControl("the tilt gap to second order: ½(log ρ)²", second_order_tilt),),
)
