"""The covariance law token by token: action values on a tree of contexts (T15–T17)."""

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.toys.prefix_tree import PrefixTree


class Contexts:
    """The C = Σ_{t<L}(V−1)^t token strings after which a policy chooses the next token.

    Ordered by length, then lexicographically, like the completions of the tree.
    """

    def __init__(self, tree: PrefixTree) -> None:
        self.tree = tree
        sizes = tree.symbols ** torch.arange(tree.length)
        self._first = sizes.cumsum(0) - sizes
        self.count = int(sizes.sum())

    @cached_property
    def of_prefix(self) -> Tensor:
        """Context before each token of the deepest prefixes: ((V−1)^{L−1}, L)."""
        rows = torch.arange(len(self.tree.prefixes))[:, None]
        below = self.tree.symbols ** torch.arange(self.tree.length - 1, -1, -1)
        return self._first + rows // below

    @cached_property
    def edge(self) -> Tensor:
        """context·V + token of each token of each completion: (N, L); not read off `mask`."""
        tokens = self.tree.completions.clamp(min=0)
        step = torch.arange(self.tree.length)
        back = step - 1 - step[:, None]  # place of token i in the number of the context at t
        place = torch.where(back >= 0, self.tree.symbols ** back.clamp(min=0), 0)
        number = torch.where(tokens < self.tree.symbols, tokens, 0) @ place
        return (self._first + number) * self.tree.vocabulary + tokens

    @cached_property
    def mask(self) -> Tensor:
        """True on the tokens of each completion, its end included: (N, L)."""
        return self.tree.completions >= 0


class TokenValues(NamedTuple):
    """What a policy expects of (n,) quantities of the completion, before and after each token."""

    visit: Tensor
    """(P, C) D(x)·d(h): probability of the prompt and of reaching the context."""
    policy: Tensor
    """(P, C, V) π(a|h)."""
    action: Tensor
    """(P, C, V, n) Q(h, a) = E[r|h, a]."""
    state: Tensor
    """(P, C, n) V(h) = E[r|h]."""

    @property
    def advantage(self) -> Tensor:
        """(P, C, V, n) A(h, a) = Q(h, a) − V(h)."""
        return self.action - self.state[:, :, None]


def token_values(contexts: Contexts, weight: Tensor, values: Tensor) -> TokenValues:
    """Condition completions on their first tokens.

    Args:
        contexts: Of the tree that lists the completions.
        weight: (P·N,) D(x)·π(y|x), all positive (`World.row_weight`).
        values: (P·N, n) quantities of the completion, e.g. rewards or a score.
    """
    rows, vocabulary = contexts.edge.shape[0], contexts.tree.vocabulary
    joint = torch.cat([torch.ones_like(values[:, :1]), values], 1) * weight[:, None]
    joint = joint.reshape(-1, rows, 1, joint.shape[1])
    through = joint.expand(-1, -1, contexts.tree.length, -1)[:, contexts.mask]
    total = joint.new_zeros(joint.shape[0], contexts.count * vocabulary, joint.shape[3])
    total = total.index_add(1, contexts.edge[contexts.mask], through)
    taken = total.unflatten(1, (contexts.count, vocabulary))
    reached = taken.sum(2)
    return TokenValues(
        visit=reached[..., 0],
        policy=taken[..., 0] / reached[..., None, 0],
        action=taken[..., 1:] / taken[..., :1],
        state=reached[..., 1:] / reached[..., :1],
    )


def token_covariance(values: TokenValues, direction: Tensor) -> Tensor:
    """Σ_h d(h) Cov_{π(.|h)}(Q_j, w): (n,).

    The rate of change of each quantity along the token tilt π_η(a|h) ∝ π(a|h) e^{ηw(h,a)} (T16).
    With w = Q_s it is the sequence's Cov(r_j, s): the law, token by token (T15).

    Args:
        values: Of the policy.
        direction: (P, C, V) w(h, a).
    """
    weight = values.visit[..., None] * values.policy
    centred = direction - (values.policy * direction).sum(2, keepdim=True)
    return torch.einsum("pcv,pcv,pcvn->n", weight, centred, values.advantage)


def token_change(visit: Tensor, old: Tensor, action: Tensor, new: Tensor) -> Tensor:
    """Σ_h d(h) Cov_{π_old(.|h)}(Q_j, π_new/π_old) = Σ_h d(h) Σ_a (π_new − π_old)(a|h) Q_j: (n,).

    The exact change of each quantity from π_old to π_new with d of the new policy and Q of the
    old one, and likewise with d of the old and Q of the new (T17, performance difference).
    """
    return torch.einsum("pc,pcv,pcvn->n", visit, new - old, action)


def tilted_token_policy(contexts: Contexts, weight: Tensor, score: Tensor, eta: float) -> Tensor:
    """π(a|h)·E[e^{ηs}|h, a]/E[e^{ηs}|h]: (P, C, V), the token policy of the sequence tilt (T17).

    It agrees with the token tilt along Q_s to first order in η only.

    Args:
        contexts: Of the tree.
        weight: (P·N,) D(x)·π(y|x).
        score: (P·N,) s of each completion.
        eta: Strength η.
    """
    values = token_values(contexts, weight, torch.exp(eta * (score - score.max()))[:, None])
    return values.policy * (values.action / values.state[:, :, None])[..., 0]
