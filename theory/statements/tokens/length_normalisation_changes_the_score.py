"""T18: a loss that divides by length trains the score (s − b)/L, and the baseline b matters.

Weight (s − b)/L on every token ⇒ dJ_j = Cov(r_j, (s − b)/L): a constant advantage a gives
a·Cov(r_j, 1/L) ≠ 0. π = (1/4, 1/4, 1/2), L = (4, 4, 1), r = (0, 1, 0), s = (0, 1, 1):
Cov(r, s) = +1/16, but −1/128 with b = E s, −5/64 with b = 0, +1/64 with b = 1.
"""

import numpy as np
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.geometry.policy_gradient import centred_score, kernel_form, value_gradients
from covlaw.theory.losses.aggregation import pair_effective_score
from covlaw.theory.statements._support.gradient_rounding import alignment_rounding
from covlaw.theory.statements._support.inapplicable import TOKEN_LEVEL
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.token_losses import (
    AVERAGED,
    loss_ascent,
    natural_slope,
    natural_slope_rounding,
    pair_loss_ascent,
)
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.token_tree import TokenTree

LARGEST_PAIRED = 24
"""Completions up to which all batches of two are enumerated."""


def sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """Gradients of the real losses against the law with the effective score."""
    advantage = _advantage(tree, rng)
    return _compare(tree, advantage, advantage)


def neutral_baseline_sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The false variant: the baseline cancels, as it does without the division by length."""
    advantage = _advantage(tree, rng)
    return _compare(tree, advantage, centred_score(tree.world, advantage))


def divided_score(advantage: Tensor, lengths: Tensor) -> Tensor:
    """The score (N,) of the loss that divides by lengths."""
    score = AVERAGED.score(advantage, lengths)
    assert score is not None  # noqa: S101  # one advantage a completion
    return score


def _advantage(tree: TokenTree, rng: np.random.Generator) -> Tensor:
    """Advantages s − b, b = E_x s up to a constant on the scale of s."""
    score = random_score(tree.world, rng)
    return centred_score(tree.world, score) + float(rng.normal()) * score.abs().max()


def _compare(tree: TokenTree, trained: Tensor, believed: Tensor) -> Sides:
    """`trained` (N,) enters the losses, `believed` (N,) the law."""
    score = divided_score(believed, tree.lengths)
    ascent = loss_ascent(tree, trained, AVERAGED)
    parts = [_plain(tree, ascent, score, trained)]
    if tree.tabular:
        parts.append(_natural(tree, ascent, score, trained))
    if tree.tabular and len(trained) <= LARGEST_PAIRED:
        of_pairs = pair_effective_score(believed, tree.lengths, tree.world.row_weight())
        parts.append(_natural(tree, pair_loss_ascent(tree, trained), of_pairs, trained))
    return joined(parts)


def _plain(tree: TokenTree, ascent: Tensor, score: Tensor, trained: Tensor) -> Part:
    """⟨∇J_j, −∇loss⟩ against the kernel form of T11."""
    world = tree.world
    error = tree.choice.shape[1] * alignment_rounding(world, trained)
    return value_gradients(world, world.rewards) @ ascent, kernel_form(world, score), error


def _natural(tree: TokenTree, ascent: Tensor, score: Tensor, trained: Tensor) -> Part:
    """Natural gradient of the real loss, one free logit a choice, against the covariance."""
    world = tree.world
    law = within_prompt_covariance(world.rewards, score, *world.rollouts().groups).estimate
    error = natural_slope_rounding(tree, trained.abs().max())
    return natural_slope(tree, ascent), law, error


STATEMENT = Statement(
    id="T18",
    title="Dividing by length trains the score (s − b)/L, and the baseline is not neutral",
    kind="identity",
    explanation="Many losses average an advantage s − b over the L tokens of a completion, or over "
    "all tokens of a batch. The law then holds with the score (s − b)/L in place of s. Because the "
    "division comes after the subtraction, the baseline b no longer cancels: a constant advantage "
    "a is a reward a/L, for short completions if a > 0 and for long ones if a < 0. The choice of b "
    "can decide whether an objective rises or falls.",
    formula="weight (s − b)/L a token ⇒ dJ_j = Cov(r_j, (s − b)/L);"
    " token mean over batches of B: (s − b)·E[B/ΣL]",
    latex=r"dJ_j=\mathrm{Cov}\!\left(r_j,\frac{s-b}{L}\right),\quad"
    r"\text{token mean: }(s-b)\,\mathbb{E}\Big[\frac{B}{\sum_i L_i}\,\Big|\,y\Big]",
    assumptions=(
        "on policy (ρ = 1), nothing clipped",
        "plain gradient: any π_θ; the covariance itself: natural gradient, one free logit a "
        "(context, token)",
        "token mean: batches of two independent completions",
    ),
    source="ours; the length bias of sequence means is known (Liu et al. 2025, Dr. GRPO)",
    needs=TokenTree,
    sides=sides,
    control=NegativeControl(
        "a neutral baseline: Cov(r_j, (s − E s)/L) whatever b", neutral_baseline_sides
    ),
    not_applicable=TOKEN_LEVEL,
)
