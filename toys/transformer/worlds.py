"""Worlds whose policy is a real causal LM, small enough to list all its completions."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.world import World
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.token_rewards import OBJECTIVES, token_rewards
from covlaw.toys.transformer.float64_model import FlatModel, ModelShape, build_model


class TransformerWorld(NamedTuple):
    """A world and what it is made of."""

    world: World
    model: FlatModel
    tree: PrefixTree
    prompts: Tensor
    """(P, T) tokens."""

    @property
    def tokens(self) -> TokenTree:
        """The same policy token by token."""
        shape = self.tree.choices(len(self.prompts))
        next_token = next_token_log_prob(self.model, self.tree, self.prompts)

        def token_log_prob(theta: Tensor) -> Tensor:
            return self.tree.by_context(next_token(theta)).flatten()

        return TokenTree(self.world, shape.choice, shape.context, token_log_prob)

    def at(self, theta: Tensor) -> "TransformerWorld":
        """The same world with another current policy θ (D,)."""
        return self._replace(world=replace(self.world, theta=theta, cache={}))

    def with_rewards(self, rewards: Tensor, names: tuple[str, ...]) -> "TransformerWorld":
        """The same policy with other objectives (P·N, M)."""
        return self._replace(world=replace(self.world, rewards=rewards, names=names, cache={}))


def transformer_world(
    shape: ModelShape,
    length: int,
    prompts: Tensor,
    seed: int = 0,
    conflict: float = 0.5,
    prompt_mass: Tensor | None = None,
) -> TransformerWorld:
    """Enumerate a freshly initialised causal LM on some prompts.

    A policy with relative positions (rotary: Qwen2, Llama) gives the contexts a, aa, aaa the same
    next-token law, so that on a prompt whose tokens are all equal its scores cannot span every
    signal (T12); prompts of two distinct tokens avoid it.

    Args:
        shape: Architecture and size of the model.
        length: L, the longest completion.
        prompts: (P, T) tokens.
        seed: Of the initial weights.
        conflict: κ of `token_rewards`.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: for an unknown architecture, prompts that are no tokens, or κ outside [0, 1].
    """
    prompts = _as_tokens(prompts, shape.vocabulary)
    tree = PrefixTree(shape.vocabulary, length)
    model = build_model(shape, seed)
    world = World(
        label=f"{shape.architecture} V={shape.vocabulary} L={length}",
        prompt=torch.arange(len(prompts)).repeat_interleave(len(tree.completions)),
        rewards=token_rewards(tree, prompts, conflict),
        names=OBJECTIVES,
        theta=model.theta,
        log_prob=completion_log_prob(model, tree, prompts),
        prompt_mass=prompt_mass,
        depth=shape.roundings(length),
    )
    return TransformerWorld(world, model, tree, prompts)


def completion_log_prob(
    model: FlatModel, tree: PrefixTree, prompts: Tensor
) -> Callable[[Tensor], Tensor]:
    """θ (D,) → log π_θ of every completion, prompt by prompt: (P·N,)."""
    next_token = next_token_log_prob(model, tree, prompts)
    return lambda theta: tree.log_prob(next_token(theta)).flatten()


def next_token_log_prob(
    model: FlatModel, tree: PrefixTree, prompts: Tensor
) -> Callable[[Tensor], Tensor]:
    """θ (D,) → next-token log-probs along every deepest prefix: (P, (V−1)^{L−1}, L, V).

    One forward pass on the deepest prefixes: attention is causal, so that each row also holds the
    next-token log-probs of all its own prefixes.
    """
    rows, count = tree.prefixes, prompts.shape[0]
    both = (prompts[:, None].expand(-1, len(rows), -1), rows.expand(count, -1, -1))
    tokens, last = torch.cat(both, 2).flatten(0, 1), prompts.shape[1] - 1

    def log_prob(theta: Tensor) -> Tensor:
        next_token: Tensor = model.logits(theta, tokens)[:, last:].log_softmax(-1)
        return next_token.reshape(count, len(rows), *next_token.shape[1:])

    return log_prob


def _as_tokens(prompts: Tensor, vocabulary: int) -> Tensor:
    prompts = torch.as_tensor(prompts)
    if prompts.ndim != 2 or prompts.is_floating_point() or 0 in prompts.shape:
        raise CovlawError(
            f"prompts have shape {tuple(prompts.shape)}: give (P, T) integer tokens, "
            "all prompts of one length"
        )
    if bool(((prompts < 0) | (prompts >= vocabulary)).any()):
        raise CovlawError(f"prompts hold tokens outside 0 … {vocabulary - 1}: {prompts.tolist()}")
    return prompts
