"""Rung 2: a finite-horizon token tree with end of sequence and a logit per (context, token)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.statements._support.random_instances import inner_steps_from
from covlaw.theory.worlds.token_law import token_values
from covlaw.theory.worlds.token_tree import TokenTree, softmax_tree
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World
from covlaw.toys.planted_conflict import planted_rewards
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.softmax_steps import varied_updates
from covlaw.toys.token_rewards import OBJECTIVES, token_rewards


class TabularWorld(NamedTuple):
    """A policy with its own next-token logits after every context, and the strings it writes."""

    tokens: TokenTree
    prefixes: PrefixTree

    @property
    def world(self) -> World:
        """The policy on whole completions."""
        return self.tokens.world

    def logits(self, theta: Tensor | None = None) -> Tensor:
        """θ as (P, C, V)."""
        theta = self.world.theta if theta is None else theta
        return theta.reshape(-1, self.prefixes.contexts, self.prefixes.vocabulary)

    def at(self, theta: Tensor) -> "TabularWorld":
        """The same world with θ (D,) as its current policy."""
        return self._replace(tokens=self.tokens.at(theta.flatten()))


def tabular_world(
    prefixes: PrefixTree,
    logits: Tensor,
    rewards: Tensor,
    names: Sequence[str],
    prompt_mass: Tensor | None = None,
) -> TabularWorld:
    """List every completion of a policy with its own next-token logits after every context.

    The flag `World.tabular` stays False: θ holds no free logit a *completion*. The scores still
    span every signal, so that natural gradient follows the covariance to first order (T12); but
    its finite step is a token tilt along Q_s and not the sequence tilt (T17), and ⟨∇J_j, ∇J_s⟩
    weighs a context's covariances by its visits (Σ_h d(h)² Σ_a π² A_j A_s), unlike T11.

    Args:
        prefixes: Vocabulary and length.
        logits: (P, C, V), contexts in the order of `PrefixTree.choices`.
        rewards: (P·N, M), completions in the order of the tree, prompt by prompt.
        names: M objective names.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on shapes or values that do not fit.
    """
    logits = torch.as_tensor(logits).to(torch.float64)
    shape = (prefixes.contexts, prefixes.vocabulary)
    if logits.ndim != 3 or logits.shape[1:] != shape:
        raise CovlawError(
            f"logits have shape {tuple(logits.shape)}: give (P, {shape[0]}, {shape[1]})"
        )
    label = f"tree V={prefixes.vocabulary} L={prefixes.length}"
    choices, rewards = prefixes.choices(logits.shape[0]), torch.as_tensor(rewards)
    tree = softmax_tree(choices, logits.flatten(), rewards, names, label, prompt_mass)
    return TabularWorld(tree, prefixes)


def token_natural_step(tabular: TabularWorld, score: Tensor, rate: float) -> TabularWorld:
    """θ + η·A_s(h, a): the exact natural step along a score (P·N,), a token tilt along Q_s."""
    advantage = token_values(tabular.tokens, score[:, None]).advantage[:, 0]
    return tabular.at(tabular.world.theta + rate * advantage)


def draw_tabular(rng: np.random.Generator) -> TabularWorld:
    """Draw a tree of 7 to 40 completions with token objectives or a planted random table."""
    structured = bool(rng.integers(2))
    prefixes = PrefixTree(4 if structured else 3, int(rng.integers(2, 4)))
    prompts = int(rng.integers(1, 4))
    spread, conflict = float(rng.choice([0.3, 1.0])), float(rng.uniform())
    shape = (prompts, prefixes.contexts, prefixes.vocabulary)
    logits = torch.as_tensor(rng.normal(scale=spread, size=shape))
    if structured:
        tokens = torch.as_tensor(rng.integers(prefixes.symbols, size=(prompts, 2)))
        rewards, names = token_rewards(prefixes, tokens, conflict), OBJECTIVES
    else:
        mass = _mass(prefixes, logits)
        rewards, names = planted_rewards(rng, mass, 3, conflict), ("table 0", "table 1", "table 2")
    share = torch.as_tensor(rng.dirichlet(np.full(prompts, 2.0))) if rng.integers(2) else None
    return tabular_world(prefixes, logits, rewards, names, share)


def _mass(prefixes: PrefixTree, logits: Tensor) -> Tensor:
    """π(y|x) of every completion: (P, C, V) → (P, N)."""
    choice = prefixes.choices().choice
    steps = logits.log_softmax(2).flatten(1)[:, choice]
    return torch.where(choice >= 0, steps, 0.0).sum(2).exp()


class _Tabular:
    name = "tabular"

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        return (_draw(rng) for _ in range(count))

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        return varied_updates(_draw, rng, count)

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        return inner_steps_from(_draw, rng, count)

    def trees(self, rng: np.random.Generator, count: int) -> Iterator[TokenTree]:
        return (draw_tabular(rng).tokens for _ in range(count))

    def default_count(self, kind: type) -> int:
        return 30


def _draw(rng: np.random.Generator) -> World:
    return draw_tabular(rng).world


RUNG = _Tabular()
"""Token trees with logits of their own in every context, enumerated."""
