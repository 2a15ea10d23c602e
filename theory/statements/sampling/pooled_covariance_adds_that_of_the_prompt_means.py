"""T22: pooled over prompts, a covariance is the law plus the covariance of the prompts' means.

Cov(r, s) = E_x Cov_x(r, s) + Cov_x(E_x r, E_x s): the second term is no effect of training.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.rollout_rounding import row_weight
from covlaw.theory.statements.base import NegativeControl, Part, Proof, Sides, Statement, joined
from covlaw.theory.worlds.updates import Update


def sides(update: Update, _: np.random.Generator) -> Sides:
    """Cov(r_j, s) of all rows together by plain moments, against law + covariance of the means.

    For the update's s, which may be centred by prompt already, and for s the mean of the rewards.
    On samples: of the empirical distribution, each row of a prompt with equal weight.
    """
    return joined([_compare(update, score, 1.0) for score in _scores(update)])


def law_only_sides(update: Update, _: np.random.Generator) -> Sides:
    """The false variant: the pooled covariance is the law."""
    return joined([_compare(update, score, 0.0) for score in _scores(update)])


def divided_sides(update: Update, _: np.random.Generator) -> Sides:
    """The false variant: the means' covariance as of a sample, over P − 1 instead of P prompts."""
    prompts = len(update.rollouts.prompt.unique())
    return joined([_compare(update, s, prompts / max(prompts - 1, 1)) for s in _scores(update)])


def _compare(update: Update, score: Tensor, share: float) -> Part:
    """`share` of the means' covariance is added to the law."""
    weight, position = _rows(update)
    rewards = update.rollouts.rewards - update.rollouts.rewards[0]  # an offset would round
    score = score - score[0]
    pooled, forecast = pooled_covariance(weight, rewards, score), _law(update, rewards, score)
    forecast = forecast + share * means_covariance(weight, position, rewards, score)
    return pooled, forecast, _rounding(rewards, score)


def pooled_covariance(weight: Tensor, rewards: Tensor, score: Tensor) -> Tensor:
    """E r_j s − E r_j·E s over all rows: (M,)."""
    return weight @ (rewards * score[:, None]) - (weight @ rewards) * (weight @ score)


def means_covariance(weight: Tensor, position: Tensor, rewards: Tensor, score: Tensor) -> Tensor:
    """Cov over prompts of E_x r_j and E_x s: (M,), in NumPy."""
    columns = np.column_stack([np.ones(len(score)), score.numpy(), rewards.numpy()])
    totals = np.zeros((int(position.max()) + 1, columns.shape[1]))
    np.add.at(totals, position.numpy(), weight.numpy()[:, None] * columns)
    share = totals[:, 0]
    mean = totals[:, 1:] / np.where(share > 0, share, 1.0)[:, None]
    mean_s, mean_r = mean[:, 0], mean[:, 1:]
    return torch.as_tensor(share @ (mean_r * mean_s[:, None]) - (share @ mean_r) * (share @ mean_s))


def _law(update: Update, rewards: Tensor, score: Tensor) -> Tensor:
    rollouts, groups = update.rollouts, group_by_prompt(update.rollouts.prompt)
    mass = rollouts.mass if rollouts.exact else groups.share(None)
    return within_prompt_covariance(
        rewards, score, rollouts.prompt, mass, rollouts.prompt_mass
    ).estimate


def _scores(update: Update) -> tuple[Tensor, Tensor]:
    return update.fields.score, update.rollouts.rewards.mean(1)


def _rows(update: Update) -> tuple[Tensor, Tensor]:
    """Weights that add up to 1, and prompt positions: (N,) each."""
    weight = row_weight(update.rollouts)
    return weight / weight.sum(), group_by_prompt(update.rollouts.prompt).position


def _rounding(rewards: Tensor, score: Tensor) -> Tensor:
    """Both sides are sums over N rows of products of two means or values."""
    scale = rewards.abs().amax(0) * score.abs().max()
    return rounding(scale, 32 * (len(score) + 8))


@cache
def proofs() -> list[Proof]:
    """Two prompts of two completions, three of three; any masses, rewards and scores."""
    from covlaw.theory.statements.sampling import _symbolic_pooling as symbolic

    return [
        Proof("2 prompts × 2 arms: pooled − law − means = 0", symbolic.pooling_residual(2, 2)),
        Proof("3 prompts × 3 arms: pooled − law − means = 0", symbolic.pooling_residual(3, 3)),
    ]


STATEMENT = Statement(
    id="T22",
    title="A covariance pooled over prompts is the law plus that of the prompts' means",
    explanation="Easy prompts score high on everything, so over a whole batch any two rewards look"
    " correlated. Training does not move probability between prompts, only within one; what counts"
    " is the covariance inside each prompt, and the batch-wide covariance differs from it by the"
    " covariance of the prompts' mean reward r and mean score s. The two can even have opposite"
    " signs, so dashboards and controllers must centre rewards prompt by prompt.",
    kind="identity",
    formula="Cov(r_j, s) = E_x Cov_x(r_j, s) + Cov(E_x r_j, E_x s)",
    latex=r"\mathrm{Cov}(r_j,s)=\mathbb{E}_x\mathrm{Cov}_x(r_j,s)"
    r"+\mathrm{Cov}\big(\mathbb{E}_x r_j,\mathbb{E}_x s\big)",
    assumptions=("on samples: of the empirical distribution, each prompt's rows of equal weight",),
    source="known (law of total covariance)",
    needs=Update,
    sides=sides,
    control=NegativeControl("the pooled covariance is the law", law_only_sides),
    nearer=(NegativeControl("the means' covariance over P − 1", divided_sides),),
    proofs=proofs,
)
