"""The covariance law token by token: action values on a tree of contexts (T15–T17)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.worlds.token_tree import TokenTree


class TokenValues(NamedTuple):
    """What a policy expects of n quantities of the completion, before and after each token."""

    context: Tensor
    """(E,) the context of each choice."""
    visit: Tensor
    """(H,) D(x)·d(h): probability of the prompt and of reaching the context."""
    policy: Tensor
    """(E,) π(a|h)."""
    action: Tensor
    """(E, n) Q(h, a) = E[r|h, a]."""
    state: Tensor
    """(H, n) V(h) = E[r|h]."""

    @property
    def advantage(self) -> Tensor:
        """(E, n) A(h, a) = Q(h, a) − V(h)."""
        return self.action - self.state[self.context]

    @property
    def taken(self) -> Tensor:
        """(E,) D(x)·d(h)·π(a|h): probability of the choice."""
        return self.visit[self.context] * self.policy


def token_values(tree: TokenTree, values: Tensor, log_policy: Tensor | None = None) -> TokenValues:
    """Condition completions on their first tokens.

    Args:
        tree: The completions, and the policy unless another is given.
        values: (N, n) quantities of the completion, e.g. rewards or a score.
        log_policy: (E,) log π(a|h) of another policy on the same tree; None: the tree's own.
    """
    log_policy = tree.log_policy() if log_policy is None else log_policy
    policy, steps = log_policy.exp(), tree.along(log_policy)
    per_token = values[:, None].expand(-1, steps.shape[1], -1)
    action = choice_mean(tree, per_token, log_policy)
    state = tree.sum_by_context(policy[:, None] * action)
    weight = tree.world.row_weight(steps.sum(1).exp())
    through = tree.sum_by_choice(weight[:, None].expand_as(steps))
    return TokenValues(tree.context, tree.sum_by_context(through), policy, action, state)


def choice_mean(tree: TokenTree, values: Tensor, log_policy: Tensor) -> Tensor:
    """E[f(y, t)|h_t, y_t] of each choice under a token policy: (N, T, n) → (E, n).

    Σ_y Π_{u>t} π(y_u|h_u) f(y, t) over the completions through (h, a): no division, so that a
    choice of probability 0 has its value too.
    """
    later = tree.along(log_policy).flip(1).cumsum(1).flip(1)  # all of one sign: nothing cancels
    after = torch.cat([later[:, 1:], torch.zeros_like(later[:, :1])], 1)
    return tree.sum_by_choice(after.exp()[..., None] * values)


def token_covariance(values: TokenValues, direction: Tensor, visit: Tensor | None = None) -> Tensor:
    """Σ_h d(h) Cov_{π(.|h)}(Q_j, w): (n,).

    The rate of change of each quantity along the token tilt π_η(a|h) ∝ π(a|h) e^{ηw(h,a)} (T16).
    With w = Q_s it is the sequence's Cov(r_j, s): the law, token by token (T15).

    Args:
        values: Of the policy.
        direction: (E,) w(h, a).
        visit: (H,) other weights of the contexts than the policy's own d(h) (T29).
    """
    visit = values.visit if visit is None else visit
    weight = visit[values.context] * values.policy
    return (weight * centred_in_context(values, direction)) @ values.advantage


def centred_in_context(values: TokenValues, direction: Tensor) -> Tensor:
    """w(h, a) − E_{π(.|h)} w: (E,)."""
    return group_by_prompt(values.context).centre(direction, values.policy)


def token_change(visit: Tensor, old: TokenValues, new: TokenValues, action: Tensor) -> Tensor:
    """Σ_h d(h) Cov_{π_old(.|h)}(Q_j, π_new/π_old) = Σ_h d(h) Σ_a (π_new − π_old)(a|h) Q_j: (n,).

    The exact change of each quantity from π_old to π_new with d of the new policy and Q of the
    old one, and likewise with d of the old and Q of the new (T17; Kakade & Langford 2002).

    Args:
        visit: (H,) D(x)·d(h) of one of the policies.
        old: Of π_old.
        new: Of π_new.
        action: (E, n) Q of the other policy.
    """
    return (visit[old.context] * (new.policy - old.policy)) @ action


def token_gradient_alignment(rewards: TokenValues, score: TokenValues) -> Tensor:
    """⟨∇J_j, ∇J_s⟩ = Σ_h d(h)² Σ_a π² A_j A_s, one free logit a (context, token): (n,) (T17).

    Args:
        rewards: Values of the objectives.
        score: Values of the one score s, n = 1.
    """
    return (rewards.taken.square() * score.advantage[:, 0]) @ rewards.advantage


def tilted_log_policy(tree: TokenTree, score: Tensor, eta: float) -> Tensor:
    """Log of π(a|h)·E[e^{ηs}|h, a]/E[e^{ηs}|h]: (E,), the token policy of the sequence tilt (T17).

    It agrees with the token tilt along Q_s to first order in η only.

    Args:
        tree: The policy.
        score: (N,) s of each completion.
        eta: Strength η.
    """
    through = tree.along(tree.log_policy())
    later = through.flip(1).cumsum(1).flip(1) + eta * score[:, None]
    soft = _log_sum_exp(later[tree.mask], tree.choice[tree.mask], tree.context.shape[0])
    return soft - _log_sum_exp(soft, tree.context, tree.contexts)[tree.context]


def _log_sum_exp(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Logarithm of Σ e^{v} over the rows of each index: (size,); every index occurs."""
    top = values.new_zeros(size).scatter_reduce(0, index, values, "amax", include_self=False)
    total = values.new_zeros(size).index_add(0, index, (values - top[index]).exp())
    return top + total.log()
