"""T8: whatever the optimiser, an objective changes by its covariance with π_new/π_old."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import exact_change
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.statements._support.rollout_rounding import (
    change_error,
    ratio_size,
    row_weight,
    weighted_rounding,
)
from covlaw.theory.statements._support.scaled import scaled
from covlaw.theory.statements.base import Halves, NegativeControl, Sides, Statement
from covlaw.theory.worlds.updates import Update


def sides(update: Update, _: np.random.Generator) -> Sides:
    """Realised change, by enumeration or on fresh samples, against Cov_old(r_j, ρ)."""
    rollouts, log_ratio = update.rollouts, update.fields.log_ratio
    law = exact_change(rollouts.rewards, log_ratio, *rollouts.groups)
    return Sides(
        update.change,
        law.estimate,
        weighted_rounding(rollouts, ratio_size(rollouts, log_ratio)),
        change_error(update, law),
        None if rollouts.exact else law.prompts.shape[0] - 1,
        None if rollouts.exact else _halves(rollouts, log_ratio),
    )


def not_centred(update: Update, rng: np.random.Generator) -> Sides:
    """E_old[ρ·r_j] = Cov_old(r_j, ρ) + E_old r_j: the new value itself, not its change."""
    right = sides(update, rng)
    value = row_weight(update.rollouts) @ update.rollouts.rewards
    return right._replace(predicted=right.predicted + value)


def _halves(rollouts: Rollouts, log_ratio: Tensor) -> Halves | None:
    """The covariance on every second completion of each prompt, and on the others."""
    order = torch.argsort(rollouts.prompt, stable=True)
    _, counts = torch.unique(rollouts.prompt, return_counts=True)
    if int(counts.min()) < 4:
        return None
    starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    odd = (torch.arange(len(order), device=order.device) - starts) % 2 == 1
    first, second = (
        exact_change(rollouts.rewards[rows], log_ratio[rows], rollouts.prompt[rows])
        for rows in (order[~odd], order[odd])
    )
    return Halves(first.estimate, second.estimate, first.standard_error, second.standard_error)


STATEMENT = Statement(
    id="T8",
    title="Whatever the optimiser, an objective changes by its covariance with π_new/π_old",
    explanation="ρ is the ratio of a completion's probability after an update to that before. The"
    " realised change of any objective J_j is, without approximation and for every"
    " optimiser, the covariance of its reward with ρ within each prompt. So the"
    " rollouts made before an update, plus one forward pass of the new model over"
    " them, tell what the update did to each objective, with no new samples and no new"
    " rewards.",
    kind="identity",
    formula="J_j(new) − J_j(old) = E_x Cov_{π_old}(r_j, ρ), ρ = π_new/π_old",
    latex=r"J_j(\pi')-J_j(\pi)=\mathbb{E}_x\,\mathrm{Cov}_{\pi(\cdot|x)}(r_j,\pi'/\pi)",
    assumptions=("π_new puts no mass where π_old puts none",),
    source="ours (change of measure)",
    needs=Update,
    sides=sides,
    control=NegativeControl("not centred: E_old[ρ·r_j] in place of the covariance", not_centred),
    nearer=(
        NegativeControl("nothing changes", scaled(sides, 0.0)),
        NegativeControl("half the covariance", scaled(sides, 0.5)),
        NegativeControl("twice the covariance", scaled(sides, 2.0)),
    ),
)
