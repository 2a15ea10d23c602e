"""T29: clipping token by token, and which policy's contexts its natural gradient reads.

∇L_clip = E_{h~old} E_{π_θ(.|h)}[w̄ ∇log π_θ], w̄(h, a) = E_old[A·1[not clipped](A, ρ_t)|h, a].
Token tilt along w̄: dJ_j = Σ_h d_θ(h) Cov_θ(Q_j^θ, w̄). Natural gradient of L_clip: d_old(h).

Two tokens of {0, 1}: the first is 0 with probability 1/4 under π_old and 3/4 under π_θ, the second
is a fair coin under both; s = (0, 2, 0, 2), r = (0, 1, 1, 0) for 00, 01, 10, 11, ε = .2: the tilt
moves r by +1/4, the natural gradient of L_clip by −1/4.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses.clipping import Clip
from covlaw.theory.losses.ppo import PPO
from covlaw.theory.statements._support.inapplicable import NO_CONTEXTS_IN_AN_LLM
from covlaw.theory.statements._support.random_instances import nearby, random_score
from covlaw.theory.statements._support.token_enumeration import (
    token_rounding,
    token_tilt_derivative,
)
from covlaw.theory.statements._support.token_losses import (
    loss_ascent,
    natural_slope,
    natural_slope_rounding,
)
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.statements.clipping._token_clip import clipped_natural_law, clipped_token_weight
from covlaw.theory.worlds.token_law import TokenValues, token_covariance, token_values
from covlaw.theory.worlds.token_tree import TokenTree


class Displaced(NamedTuple):
    """π_θ away from π_old, and what clipping leaves there."""

    theta: Tensor
    """(D,)."""
    advantage: Tensor
    """(N,) A, from π_old."""
    clip: Clip
    weight: Tensor
    """(E,) w̄."""
    old: TokenValues
    new: TokenValues


def sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """Gradient of the real loss along a random direction, tilt along w̄, and natural gradient."""
    at = displace(tree, rng)
    tilt = token_tilt_derivative(tree, tree.world.rewards, at.weight, tree.log_policy(at.theta))
    error = token_rounding(tree.at(at.theta), tree.world.rewards, at.advantage.abs().max())
    parts = [(tilt, token_covariance(at.new, at.weight), error)]
    return joined([*parts, *_compare(tree, at, at.old.visit, rng)])


def new_contexts_sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The false variant: both gradients read the contexts that π_θ visits, as the tilt does."""
    at = displace(tree, rng)
    return joined(_compare(tree, at, at.new.visit, rng))


def displace(tree: TokenTree, rng: np.random.Generator) -> Displaced:
    """Draw π_θ and an asymmetric clip range, half of the time with dual clip."""
    world = tree.world
    advantage = centred_score(world, random_score(world, rng))
    theta = nearby(world, rng, float(10 ** rng.uniform(-1, 0.3)))
    low, high = (float(x) for x in rng.uniform(0.05, 0.4, size=2))
    clip = (low, high, float(rng.uniform(1.2, 3)) if rng.integers(2) else None)
    log_policy = tree.log_policy(theta)
    weight = clipped_token_weight(tree, advantage, log_policy, clip)
    values = (token_values(tree, world.rewards, policy) for policy in (None, log_policy))
    return Displaced(theta, advantage, clip, weight, *values)


def _compare(tree: TokenTree, at: Displaced, visit: Tensor, rng: np.random.Generator) -> list[Part]:
    ascent = loss_ascent(tree, at.advantage, PPO(*at.clip), at.theta)
    parts = [_gradient(tree, at, ascent, visit, rng)]
    if tree.tabular:
        slope = natural_slope(tree, ascent, at.theta)
        error = natural_slope_rounding(tree.at(at.theta), at.advantage.abs().max())
        parts.append((slope, clipped_natural_law(at.new, at.weight, visit), error))
    return parts


def _gradient(
    tree: TokenTree, at: Displaced, ascent: Tensor, visit: Tensor, rng: np.random.Generator
) -> Part:
    size, length = ascent.shape[0], tree.choice.shape[1]
    v = torch.as_tensor(rng.normal(size=size))
    slope: Tensor = jvp(tree.token_log_prob, (at.theta,), (v,))[1]
    predicted = slope @ (visit[tree.context] * at.new.policy * at.weight)
    # a slope is a sum of D products of either sign, their sizes about √D times the steepest
    steepest = size**0.5 * slope.abs().max() + v.abs().max()
    log_size = int(tree.log_policy().abs().max() + tree.log_policy(at.theta).abs().max())
    operations = 8 * (tree.world.depth + size + len(at.advantage) + log_size)
    error = rounding(length * at.advantage.abs().max() * steepest, operations)
    return (v @ ascent)[None], predicted[None], error[None]


STATEMENT = Statement(
    id="T29",
    title="Token clipping weighs contexts as the old policy visits them, its tilt as the new one",
    kind="identity",
    explanation="PPO and GRPO clip the ratio ρ_t of every token, while the advantage A belongs to "
    "the whole completion. What clipping leaves of A on a token is w̄, its mean over the old "
    "policy's completions that share the text so far. The real loss's gradient weighs contexts by "
    "how often the old policy visited them; a tilt along w̄ would weigh them by the current "
    "policy's visits. After some inner steps the two can move an objective in opposite directions, "
    "so the sequence-level law of T25 may not be read off token-level clipping.",
    formula="∇L_clip = E_{h~old} E_{π_θ(.|h)}[w̄ ∇log π_θ], w̄ = E_old[A·1(A, ρ_t)|h, a];"
    " tilt along w̄: dJ_j/dη = Σ_h d_θ(h) Cov_θ(Q_j^θ, w̄);"
    " natural gradient of L_clip: Σ_h d_old(h) Cov_θ(Q_j^θ, w̄)",
    latex=r"\nabla L_{\mathrm{clip}}=\mathbb{E}_{h\sim\mathrm{old}}\mathbb{E}_{\pi_\theta(\cdot|h)}"
    r"[\bar w\,\nabla\log\pi_\theta],\quad \bar w=\mathbb{E}_{\mathrm{old}}[A\,\mathbf 1(A,\rho_t)"
    r"\mid h,a]",
    assumptions=(
        "A from π_old, one a completion; token ratios, asymmetric ranges, with or without dual "
        "clip; Σ_t over a completion, mean over completions",
        "no token sits exactly on a clip bound",
        "the natural gradient: one free logit a (context, token)",
    ),
    source="ours",
    needs=TokenTree,
    sides=sides,
    control=NegativeControl(
        "contexts as π_θ visits them in the loss's gradient", new_contexts_sides
    ),
    not_applicable={
        "bandit": "with a single token per completion both policies visit the same contexts",
        "llm": NO_CONTEXTS_IN_AN_LLM,
    },
)
