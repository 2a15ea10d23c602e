"""T15: a completion's reward is a sum of token advantages, and the covariance a sum over tokens.

r_j − E_x r_j = Σ_t A_{j,t}(h_t, y_t), a martingale: E[A_{j,t}|h_t] = 0. Hence
Cov_x(r_j, s) = Σ_t E[Cov(Q_{j,t}, Q_{s,t}|h_t)] = Σ_t E[A_{j,t} A_{s,t}].
"""

import numpy as np
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.statements._support.enumeration import enumerated_covariance
from covlaw.theory.statements._support.inapplicable import TOKEN_LEVEL
from covlaw.theory.statements._support.random_instances import random_score
from covlaw.theory.statements._support.token_enumeration import token_rounding
from covlaw.theory.statements.base import NegativeControl, Part, Sides, Statement, joined
from covlaw.theory.worlds.token_law import token_covariance, token_values
from covlaw.theory.worlds.token_tree import TokenTree


def sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The covariance by plain moments against both sums over tokens; every reward likewise."""
    score = random_score(tree.world, rng)
    rewards, own = (token_values(tree, v) for v in (tree.world.rewards, score[:, None]))
    by_action = token_covariance(rewards, own.action[:, 0])
    by_advantage = (own.taken * own.advantage[:, 0]) @ rewards.advantage
    return joined([*_law(tree, score, [by_action, by_advantage]), *_martingale(tree)])


def prompt_baseline_sides(tree: TokenTree, rng: np.random.Generator) -> Sides:
    """The false variant: action values centred by the prompt's mean, not by the context's."""
    score = random_score(tree.world, rng)
    rewards, own = (token_values(tree, v) for v in (tree.world.rewards, score[:, None]))
    centred = rewards.action - _prompt_means(tree, tree.world.rewards)
    signal = own.action[:, 0] - _prompt_means(tree, score[:, None])[:, 0]
    return joined(_law(tree, score, [(own.taken * signal) @ centred]))


def _prompt_means(tree: TokenTree, values: Tensor) -> Tensor:
    """E[r|x] of the prompt of each choice: (N, n) → (E, n)."""
    mass = tree.world.log_prob_at().exp()
    mean = values - group_by_prompt(tree.world.prompt).centre(values, mass)
    by_choice = values.new_zeros(tree.context.shape[0], values.shape[1])
    return by_choice.index_copy(
        0, tree.choice[tree.mask], mean[:, None].expand(*tree.choice.shape, -1)[tree.mask]
    )


def _law(tree: TokenTree, score: Tensor, sums: list[Tensor]) -> list[Part]:
    world = tree.world
    whole = enumerated_covariance(world, world.rewards, score)
    error = token_rounding(tree, world.rewards, score.abs().max())
    return [(whole, by_token, error) for by_token in sums]


def _martingale(tree: TokenTree) -> list[Part]:
    world = tree.world
    centred = group_by_prompt(world.prompt).centre(world.rewards, world.log_prob_at().exp())
    total = tree.along(token_values(tree, world.rewards).advantage).sum(1)
    error = token_rounding(tree, world.rewards).expand_as(total)
    return [(centred.reshape(-1), total.reshape(-1), error.reshape(-1))]


STATEMENT = Statement(
    id="T15",
    title="A covariance over completions is a sum of covariances over tokens",
    kind="identity",
    explanation="A language model writes one token y_t after another, each in a context h_t. "
    "Q_{j,t} is the mean reward once y_t is written, A_{j,t} what y_t adds to the mean of its "
    "context. A reward is its mean plus what every token added, so the law's covariance between a "
    "reward and the training score can be read token by token: it shows in which contexts two "
    "objectives work against each other.",
    formula="r_j − E_x r_j = Σ_t A_{j,t};"
    " Cov_x(r_j, s) = Σ_t E[Cov(Q_{j,t}, Q_{s,t}|h_t)] = Σ_t E[A_{j,t} A_{s,t}]",
    latex=r"r_j-\mathbb{E}_x r_j=\sum_t A_{j,t},\quad \mathrm{Cov}_x(r_j,s)"
    r"=\sum_t\mathbb{E}[\mathrm{Cov}(Q_{j,t},Q_{s,t}\mid h_t)]=\sum_t\mathbb{E}[A_{j,t}A_{s,t}]",
    assumptions=("completions of any lengths, all finite", "Q and A of the policy itself"),
    source="known (martingale decomposition; advantages as in Kakade & Langford 2002, ICML)",
    needs=TokenTree,
    sides=sides,
    control=NegativeControl(
        "token values centred by the prompt's mean instead of the context's", prompt_baseline_sides
    ),
    not_applicable=TOKEN_LEVEL,
)
