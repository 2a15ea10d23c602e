"""Rung 2: a finite-horizon token tree with end of sequence and a logit per (context, token)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError
from covlaw.theory.statements.random_instances import inner_steps_from
from covlaw.theory.updates import InnerStep, Update
from covlaw.theory.worlds import World
from covlaw.toys.planted_conflict import planted_rewards
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.softmax_steps import at, varied_updates
from covlaw.toys.token_law import Contexts, TokenValues, token_values
from covlaw.toys.token_rewards import OBJECTIVES, token_rewards


class TabularWorld(NamedTuple):
    """A world and the tree it lives on."""

    world: World
    contexts: Contexts

    def logits(self, theta: Tensor | None = None) -> Tensor:
        """θ as (P, C, V)."""
        tree = self.contexts.tree
        theta = self.world.theta if theta is None else theta
        return theta.reshape(-1, self.contexts.count, tree.vocabulary)

    def at(self, theta: Tensor) -> "TabularWorld":
        """The same world with θ (D,) as its current policy."""
        return self._replace(world=at(self.world, theta.flatten()))

    def values(self, quantities: Tensor | None = None) -> TokenValues:
        """Token values of (P·N, n) quantities, by default of the rewards."""
        quantities = self.world.rewards if quantities is None else quantities
        return token_values(self.contexts, self.world.row_weight(), quantities)


def tabular_world(
    tree: PrefixTree,
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
        tree: Vocabulary and length.
        logits: (P, C, V), contexts in the order of `Contexts`.
        rewards: (P·N, M), completions in the order of the tree, prompt by prompt.
        names: M objective names.
        prompt_mass: (P,) or None for uniform.

    Raises:
        CovlawError: on shapes or values that do not fit.
    """
    contexts = Contexts(tree)
    logits = torch.as_tensor(logits).to(torch.float64)
    shape = (contexts.count, tree.vocabulary)
    if logits.ndim != 3 or logits.shape[1:] != shape:
        raise CovlawError(
            f"logits have shape {tuple(logits.shape)}: give (P, {shape[0]}, {shape[1]})"
        )
    prompts, rows = logits.shape[0], len(tree.completions)
    world = World(
        label=f"tree V={tree.vocabulary} L={tree.length}",
        prompt=torch.arange(prompts).repeat_interleave(rows),
        rewards=torch.as_tensor(rewards),
        names=tuple(names),
        theta=logits.flatten(),
        log_prob=lambda theta: completion_log_prob(contexts, theta).flatten(),
        prompt_mass=prompt_mass,
        depth=tree.length * (tree.vocabulary + 8),
    )
    world.rollouts()  # refuses rewards, names and masses that do not fit
    return TabularWorld(world, contexts)


def completion_log_prob(contexts: Contexts, theta: Tensor) -> Tensor:
    """Log π_θ of every completion: (D,) → (P, N)."""
    next_token = theta.reshape(-1, contexts.count, contexts.tree.vocabulary).log_softmax(2)
    return contexts.tree.log_prob(next_token[:, contexts.of_prefix])


def token_natural_step(tabular: TabularWorld, score: Tensor, rate: float) -> TabularWorld:
    """θ + η·A_s(h, a): the exact natural step along a score (P·N,), a token tilt along Q_s."""
    advantage = tabular.values(score[:, None]).advantage[..., 0]
    return tabular.at(tabular.logits() + rate * advantage)


def draw_tabular(rng: np.random.Generator) -> TabularWorld:
    """Draw a tree of 7 to 40 completions with token objectives or a planted random table."""
    structured = bool(rng.integers(2))
    tree = PrefixTree(4 if structured else 3, int(rng.integers(2, 4)))
    contexts, prompts = Contexts(tree), int(rng.integers(1, 4))
    spread, conflict = float(rng.choice([0.3, 1.0])), float(rng.uniform())
    shape = (prompts, contexts.count, tree.vocabulary)
    logits = torch.as_tensor(rng.normal(scale=spread, size=shape))
    if structured:
        tokens = torch.as_tensor(rng.integers(tree.symbols, size=(prompts, 2)))
        rewards, names = token_rewards(tree, tokens, conflict), OBJECTIVES
    else:
        mass = completion_log_prob(contexts, logits).exp()
        rewards, names = planted_rewards(rng, mass, 3, conflict), ("table 0", "table 1", "table 2")
    share = torch.as_tensor(rng.dirichlet(np.full(prompts, 2.0))) if rng.integers(2) else None
    return tabular_world(tree, logits, rewards, names, share)


class _Tabular:
    name = "tabular"

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        return (_draw(rng) for _ in range(count))

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        return varied_updates(_draw, rng, count)

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        return inner_steps_from(_draw, rng, count)

    def default_count(self, kind: type) -> int:
        return 30


def _draw(rng: np.random.Generator) -> World:
    return draw_tabular(rng).world


RUNG = _Tabular()
