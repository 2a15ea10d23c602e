"""T16: tilting every token's policy along w moves an objective by its token covariances with w.

dJ_j/dη = Σ_t E_{h_t~π} Cov(Q_{j,t}, w_t|h_t) for π_η(a|h) ∝ π(a|h) e^{ηw(h,a)}. A scalar of the
whole completion, put on each of its tokens, acts as w_t = E[scalar|h_t, y_t].
"""

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.statements._support.inapplicable import TOKEN_LEVEL
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.token_enumeration import (
    token_rounding,
    token_tilt_derivative,
)
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.token_law import token_covariance, token_values
from covlaw.theory.worlds.token_tree import TokenTree


def sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """A random token weight and the score's own; then a scalar's gradient in a random direction."""
    score = random_score(tree.world, rng)
    weights = [_random_weight(tree, rng), token_values(tree, score[:, None]).action[:, 0]]
    values = token_values(tree, tree.world.rewards)
    tilts = [_tilt(tree, w, token_covariance(values, w)) for w in weights]
    return joined([*tilts, _scalar(tree, score, rng)])


def summed_sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The false variant: the sum of the tokens' weights as the score of the completion."""
    random_score(tree.world, rng)
    w, world = _random_weight(tree, rng), tree.world
    law = within_prompt_covariance(
        world.rewards, tree.along(w).sum(1), *world.rollouts().groups
    ).estimate
    return joined([_tilt(tree, w, law)])


def _random_weight(tree: TokenTree, rng: np.random.Generator) -> Tensor:
    return torch.as_tensor(rng.normal(size=tree.context.shape[0]))


def _tilt(tree: TokenTree, weight: Tensor, predicted: Tensor) -> Part:
    measured = token_tilt_derivative(tree, tree.world.rewards, weight)
    return measured, predicted, token_rounding(tree, tree.world.rewards, weight.abs().max())


def _scalar(tree: TokenTree, scalar: Tensor, rng: np.random.Generator) -> Part:
    """⟨E[scalar·∇log π(y)], v⟩, by reverse mode, against Σ d(h) π(a|h) w(h, a)⟨∇log π(a|h), v⟩."""
    world = tree.world
    v = torch.as_tensor(rng.normal(size=world.theta.shape[0]))
    weight = world.row_weight()
    gradient = world.score_sum(weight * scalar)
    slope: Tensor = jvp(tree.token_log_prob, (world.theta,), (v,))[1]
    values = token_values(tree, scalar[:, None])
    predicted = (values.taken * values.action[:, 0]) @ slope
    # a slope is a sum of D products of either sign, their sizes about √D times the steepest
    size, length = world.theta.shape[0], tree.choice.shape[1]
    steepest = size**0.5 * slope.abs().max() + v.abs().max()
    magnitude = length * (weight @ scalar.abs()) * steepest
    log_size = int(world.log_prob_at().abs().max())
    error = rounding(magnitude, 8 * (world.depth + size + len(weight) + log_size))
    return (gradient @ v)[None], predicted[None], error[None]


STATEMENT = Statement(
    id="T16",
    title="A token-level tilt moves an objective by the sum of its token covariances",
    kind="identity",
    explanation="Token-level training pushes each token y_t, written in context h_t, by a weight "
    "w_t of its own. To first order an objective moves by the covariance, context by context, of "
    "w_t with the mean reward Q_{j,t} that follows the token, averaged over the contexts the "
    "policy visits. An advantage of the whole completion that is copied to all its tokens acts as "
    "its mean given the text so far, so sequence-level and token-level training agree here.",
    formula="π_η(a|h) ∝ π(a|h) e^{ηw(h,a)} ⇒ dJ_j/dη = Σ_t E_{h_t~π} Cov(Q_{j,t}, w_t|h_t);"
    " a completion's scalar acts as w_t = E[scalar|h_t, y_t]",
    latex=r"\frac{dJ_j}{d\eta}=\sum_t\mathbb{E}_{h_t\sim\pi}\mathrm{Cov}(Q_{j,t},w_t\mid h_t),"
    r"\quad w_t=\mathbb{E}[\text{scalar}\mid h_t,y_t]",
    assumptions=(
        "first order in η, at η = 0",
        "for a scalar: the plain policy gradient E[scalar·∇log π], any differentiable π_θ",
    ),
    source="known (policy gradient theorem: Sutton et al. 2000, NeurIPS)",
    needs=TokenTree,
    sides=sides,
    control=NegativeControl("Cov(r_j, Σ_t w_t): token weights added up to a score", summed_sides),
    not_applicable=TOKEN_LEVEL,
)
