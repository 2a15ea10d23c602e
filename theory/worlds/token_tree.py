"""A world whose completions are strings of tokens: every choice of a token after every context."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.worlds.world import World

TokenLogProb = Callable[[Tensor], Tensor]
"""θ (D,) → log π_θ(a|h) of every choice: (E,), differentiable in forward and reverse mode."""


@dataclass(frozen=True, eq=False)
class TokenTree:
    """An enumerated policy that writes token by token (A4).

    A *context* h is a prompt with the tokens written so far, a *choice* a pair (h, a) of a context
    and the next token. Completions may differ in length; contexts need not offer the same tokens.

    Args:
        world: The same policy on whole completions: log π(y|x) = Σ_t log π(y_t|h_t).
        choice: (N, T) the choice that each token of each completion is; −1 after the last token.
        context: (E,) the context of each choice, 0 … H−1.
        token_log_prob: log π_θ(a|h) of every choice.
        tabular: whether θ (E,) holds one free logit a choice (the softmax of every context).
    """

    world: World
    choice: Tensor
    context: Tensor
    token_log_prob: TokenLogProb
    tabular: bool = False

    @cached_property
    def mask(self) -> Tensor:
        """True on the tokens of each completion, the end of sequence included: (N, T)."""
        return self.choice >= 0

    @cached_property
    def lengths(self) -> Tensor:
        """Tokens of each completion: (N,) float64."""
        return self.mask.sum(1).to(torch.float64)

    @cached_property
    def contexts(self) -> int:
        """Number H of contexts in which a token is chosen."""
        return int(self.context.max()) + 1

    def log_policy(self, theta: Tensor | None = None) -> Tensor:
        """log π_θ(a|h) of every choice (E,), without a graph; kept for the current policy."""
        if theta is not None:
            with torch.no_grad():
                return self.token_log_prob(theta)
        cache = self.world.cache
        if "log_policy" not in cache:
            cache["log_policy"] = self.log_policy(self.world.theta)
        return cache["log_policy"]

    def along(self, values: Tensor) -> Tensor:
        """Give each token its choice's value: (E, ...) → (N, T, ...), 0 after the last token."""
        return _along(self.choice, values)

    def at(self, theta: Tensor) -> "TokenTree":
        """The same tree with θ (D,) as its current policy."""
        return replace(self, world=replace(self.world, theta=theta, cache={}))

    def sum_by_choice(self, values: Tensor) -> Tensor:
        """Σ over all tokens that are a choice: (N, T, ...) → (E, ...)."""
        total = values.new_zeros(self.context.shape[0], *values.shape[2:])
        return total.index_add(0, self.choice[self.mask], values[self.mask])

    def sum_by_context(self, values: Tensor) -> Tensor:
        """Σ_a over the choices of each context: (E, ...) → (H, ...)."""
        total = values.new_zeros(self.contexts, *values.shape[1:])
        return total.index_add(0, self.context, values)


def single_token_tree(world: World) -> TokenTree:
    """A bandit as a tree: a completion is one token, a prompt the only context."""
    context = torch.unique(world.prompt, return_inverse=True)[1]
    choice = torch.arange(context.shape[0])[:, None]
    return TokenTree(world, choice, context, world.log_prob, world.tabular)


class TreeShape(NamedTuple):
    """Which completions there are."""

    prompt: Tensor
    """(N,) integer prompt ids."""
    choice: Tensor
    """(N, T) as in `TokenTree`."""
    context: Tensor
    """(E,) as in `TokenTree`."""


def softmax_tree(
    shape: TreeShape,
    theta: Tensor,
    rewards: Tensor,
    names: Sequence[str],
    label: str = "token tree",
    prompt_mass: Tensor | None = None,
    design: Tensor | None = None,
) -> TokenTree:
    """A policy with a softmax after every context.

    Args:
        shape: The completions.
        theta: (D,) parameters.
        rewards: (N, M).
        names: M objective names.
        label: Name of the world.
        prompt_mass: (P,) or None for uniform.
        design: (E, D) features, logits = design·θ; None: θ is the logits, one free logit a choice.

    Raises:
        CovlawError: on sizes that do not fit.
    """
    contexts = int(shape.context.max()) + 1
    width = shape.context.shape[0] if design is None else design.shape[1]
    if theta.shape != (width,):
        raise CovlawError(f"theta has shape {tuple(theta.shape)}: this tree needs ({width},)")

    def token_log_prob(theta: Tensor) -> Tensor:
        logits = theta if design is None else design @ theta
        return log_softmax_by_prompt(logits, shape.context, contexts)

    world = World(
        label=label,
        prompt=shape.prompt,
        rewards=rewards,
        names=tuple(names),
        theta=theta,
        log_prob=lambda theta: _along(shape.choice, token_log_prob(theta)).sum(1),
        prompt_mass=prompt_mass,
        depth=shape.choice.shape[1] * (2 * width + 8),
    )
    world.rollouts()  # refuses rewards, names and masses that do not fit
    return TokenTree(world, shape.choice, shape.context, token_log_prob, design is None)


def _along(choice: Tensor, values: Tensor) -> Tensor:
    padded = torch.cat([values, torch.zeros_like(values[:1])])
    return padded[choice]  # −1, after the last token, is the row of zeros
