"""The exact worlds of the interference study: name → cells, each an ensemble over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from covlaw.theory._numerics.errors import unknown
from covlaw.theory.worlds.token_tree import TokenTree, single_token_tree
from covlaw.toys.bandit import bandit_world
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.study.base import MIXTURES, brought_up
from covlaw.toys.study.ensemble import Optimiser, PolicyEnsemble, softmax_policy
from covlaw.toys.tabular import tabular_world
from covlaw.toys.token_rewards import OBJECTIVES, token_rewards

Cell = Mapping[str, Any]
"""What distinguishes worlds of one kind, e.g. the conflict: a column of the table each."""
PROMPTS = ((0, 1), (2, 1))
"""Of the transformers: two tokens, of different answers."""


@dataclass(frozen=True)
class StudyWorld:
    """One kind of world.

    Args:
        cells: The settings swept.
        build: (cell, seeds) → an ensemble with one policy a seed.
        steps: Batches of a run.
        inner: Optimiser steps a batch.
        seeds: How many a cell in a default study.
    """

    cells: tuple[Cell, ...]
    build: Callable[[Cell, Sequence[int]], PolicyEnsemble]
    steps: int
    inner: int
    seeds: int


def bandits(cell: Cell, seeds: Sequence[int]) -> PolicyEnsemble:
    """Softmax bandits with planted conflict; `scale` times between largest and smallest reward."""
    rngs = [np.random.default_rng([seed, 0]) for seed in seeds]
    worlds = [bandit_world(rng, 3, 6, 3, cell["conflict"]) for rng in rngs]
    falling = cell["scale"] ** -torch.linspace(-0.5, 0.5, 3, dtype=torch.float64)
    natural = cell["optimiser"] == "natural"
    return PolicyEnsemble(
        single_token_tree(worlds[0]),
        ("large", "middle", "small"),
        torch.stack([world.rewards for world in worlds]) * falling,
        torch.stack([world.theta for world in worlds]),
        softmax_policy(3),
        sgd(0.05 if natural else 1.0),
        natural,
        worlds[0].depth,
    )


def tabular(cell: Cell, seeds: Sequence[int]) -> PolicyEnsemble:
    """Token trees with a logit after every context, and token objectives."""
    tree = PrefixTree(4, 3)
    trees = [_tabular_tree(tree, cell["conflict"], seed) for seed in seeds]
    return PolicyEnsemble(
        trees[0],
        OBJECTIVES,
        torch.stack([t.world.rewards for t in trees]),
        torch.stack([t.world.theta for t in trees]),
        softmax_policy(2 * tree.contexts),
        sgd(2.0),
        depth=trees[0].world.depth,
    )


def transformers(cell: Cell, seeds: Sequence[int]) -> PolicyEnsemble:
    """Causal LMs of one architecture and width, brought up on one mixture of styles."""
    from covlaw.toys.transformer.float64_model import (
        ModelShape,  # the other worlds do without transformers
    )
    from covlaw.toys.transformer.worlds import transformer_world

    shape = ModelShape(4, cell["width"], 1, architecture=cell["architecture"])
    prompts = torch.tensor(PROMPTS)
    drawn = [transformer_world(shape, 3, prompts, seed, conflict=0.5) for seed in seeds]
    first = drawn[0]
    ensemble = PolicyEnsemble(
        first.tokens,
        OBJECTIVES,
        torch.stack([d.world.rewards for d in drawn]),
        torch.stack([d.world.theta for d in drawn]),
        vmap(first.tokens.token_log_prob),
        adamw(0.01),
        depth=first.world.depth,
    )
    return replace(ensemble, theta=brought_up(ensemble, first.tree, prompts, cell["mixture"]))


def sgd(rate: float) -> Optimiser:
    """Plain ascent."""
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, maximize=True)


def adamw(rate: float) -> Optimiser:
    """AdamW without weight decay, ascending."""
    return lambda parameters: torch.optim.AdamW(
        parameters, lr=rate, weight_decay=0.0, maximize=True
    )


def find_world(name: str) -> StudyWorld:
    """Look a world up by name.

    Raises:
        CovlawError: for an unknown world, with the near matches.
    """
    if name not in WORLDS:
        raise unknown("world of the study", name, tuple(WORLDS))
    return WORLDS[name]


def _tabular_tree(tree: PrefixTree, conflict: float, seed: int) -> TokenTree:
    rng = np.random.default_rng([seed, 1])
    logits = torch.as_tensor(rng.normal(scale=0.5, size=(2, tree.contexts, tree.vocabulary)))
    prompts: Tensor = torch.as_tensor(rng.integers(tree.symbols, size=(2, 2)))
    rewards = token_rewards(tree, prompts, conflict)
    return tabular_world(tree, logits, rewards, OBJECTIVES).tokens


def _grid(**values: Sequence[Any]) -> tuple[Cell, ...]:
    return tuple(dict(zip(values, cell, strict=True)) for cell in product(*values.values()))


_BANDIT = {"conflict": (0.25, 0.6, 0.95), "scale": (1.0, 10.0)}
WORLDS: Mapping[str, StudyWorld] = {
    "bandit": StudyWorld(_grid(**_BANDIT, optimiser=("gradient",)), bandits, 20, 4, 84),
    "bandit_natural": StudyWorld(_grid(**_BANDIT, optimiser=("natural",)), bandits, 20, 4, 84),
    "tabular": StudyWorld(_grid(conflict=(0.2, 0.5, 0.8)), tabular, 20, 4, 168),
    "transformer": StudyWorld(
        _grid(architecture=("qwen2", "llama", "gpt2"), width=(8, 16), mixture=tuple(MIXTURES)),
        transformers,
        20,
        2,
        28,
    ),
}
"""The exact worlds. A bandit's prompts have a logit an arm each; along the natural gradient its
steps are the law's own tilt. 504 draws a world: shares are known to less than ±5 points (95 %)."""
