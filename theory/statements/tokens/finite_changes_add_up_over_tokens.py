"""T17: finite changes of a token policy, whole completions' tilt as one, and plain gradients.

Δ_j = Σ_t E_{h~π_new} Cov_{π_old(.|h)}(Q_j^old, ρ_t), and with h~π_old and Q_j^new instead.
The tilt π_η(y) ∝ π(y) e^{ηs(y)} writes π(a|h)·E[e^{ηs}|h, a]/E[e^{ηs}|h]. With one free logit a
(context, token), ⟨∇J_j, ∇J_s⟩ = Σ_h d(h)² Σ_a π² A_j A_s.
"""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.statements._support.gradient_rounding import alignment_rounding
from covlaw.theory.statements._support.inapplicable import TOKEN_LEVEL
from covlaw.theory.statements._support.random_instances import nearby, random_score
from covlaw.theory.statements._support.tilt_strengths import widest_range
from covlaw.theory.statements._support.token_enumeration import token_rounding
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.theory.worlds.token_law import (
    tilted_log_policy,
    token_change,
    token_gradient_alignment,
    token_values,
)
from covlaw.theory.worlds.token_tree import TokenTree

FARTHEST = 1.0
"""log10-uniform root-mean-square change of log π, up to this one."""


def sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """A random step, from either side; a random tilt; and the plain gradients of free logits."""
    score, parts = random_score(tree.world, rng), [*_changes(tree, rng, first_order=False)]
    parts.append(_tilt(tree, score, rng))
    parts += [_gradients(tree, score)] if tree.tabular else []
    return joined(parts)


def old_on_old_sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The false variant: contexts and action values both of the old policy."""
    random_score(tree.world, rng)
    return joined(_changes(tree, rng, first_order=True))


def _changes(tree: TokenTree, rng: np.random.Generator, first_order: bool) -> list[Part]:
    world = tree.world
    moved = tree.at(nearby(world, rng, FARTHEST * float(10 ** rng.uniform(-2, 0))))
    old, new = (token_values(t, world.rewards) for t in (tree, moved))
    pairs = (
        [(old.visit, old.action)]
        if first_order
        else [
            (new.visit, old.action),
            (old.visit, new.action),
        ]
    )
    change = (moved.world.row_weight() - world.row_weight()) @ world.rewards
    error = token_rounding(tree, world.rewards) + token_rounding(moved, world.rewards)
    return [(change, token_change(visit, old, new, action), error) for visit, action in pairs]


def _tilt(tree: TokenTree, score: Tensor, rng: np.random.Generator) -> Part:
    world = tree.world
    eta = float(rng.normal()) / widest_range(world, score)
    log_prob, mass = world.log_prob_at(), world.log_prob_at().exp()
    whole = log_prob + tilt_log_ratio(score, eta, world.prompt, mass)
    by_token = tree.along(tilted_log_policy(tree, score, eta)).sum(1)
    size = 1 + log_prob.abs().max() + abs(eta) * score.abs().max()
    operations = 16 * tree.choice.shape[1] + 4 * len(score) + 32
    return whole, by_token, rounding(4 * size, operations).expand_as(whole)


def _gradients(tree: TokenTree, score: Tensor) -> Part:
    world = tree.world
    gradients = value_gradients(world, torch.cat([world.rewards, score[:, None]], 1))
    rewards, own = (token_values(tree, v) for v in (world.rewards, score[:, None]))
    alignment = token_gradient_alignment(rewards, own)
    return gradients[:-1] @ gradients[-1], alignment, alignment_rounding(world, score)


STATEMENT = Statement(
    id="T17",
    title="A finite change of a token policy adds up over tokens, seen from either policy",
    kind="identity",
    explanation="Here the policy makes a step of any size, from π_old to π_new, with token ratio "
    "ρ_t. The change of an objective is a sum of token covariances in which the contexts come from "
    "one policy and the values Q of what follows from the other; with both from the old policy, as "
    "samples give them, it is right for small steps only. The tilt of whole completions is a token "
    "policy too, and plain gradient ascent counts a context by the square of its visits.",
    formula="Δ_j = Σ_t E_{h~π_new} Cov_{π_old(.|h)}(Q_j^old, ρ_t)"
    " = Σ_t E_{h~π_old} Cov_{π_old(.|h)}(Q_j^new, ρ_t);"
    " tilt: π(a|h)·E[e^{ηs}|h, a]/E[e^{ηs}|h];"
    " free logits: ⟨∇J_j, ∇J_s⟩ = Σ_h d(h)² Σ_a π² A_j A_s",
    latex=r"\Delta_j=\sum_t\mathbb{E}_{h\sim\pi_{\mathrm{new}}}\mathrm{Cov}_{\pi_{\mathrm{old}}"
    r"(\cdot|h)}(Q_j^{\mathrm{old}},\rho_t)=\sum_t\mathbb{E}_{h\sim\pi_{\mathrm{old}}}"
    r"\mathrm{Cov}_{\pi_{\mathrm{old}}(\cdot|h)}(Q_j^{\mathrm{new}},\rho_t)",
    assumptions=(
        "π_old > 0 wherever π_new > 0",
        "the plain gradient: one free logit a (context, token)",
    ),
    source="known (performance difference: Kakade & Langford 2002, ICML)",
    needs=TokenTree,
    sides=sides,
    control=NegativeControl("contexts and values both of the old policy", old_on_old_sides),
    not_applicable=TOKEN_LEVEL,
)
