"""The exact worlds of the interference study: name → cells, each an ensemble over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from covlaw.theory._numerics.errors import CovlawError, unknown
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
        optimisers: Names (`find_optimiser`) of those that it is trained by; the first is its own.
        steps: Batches of a run.
        inner: Optimiser steps a batch.
        seeds: How many a cell in a default study.
    """

    cells: tuple[Cell, ...]
    build: Callable[[Cell, Sequence[int]], PolicyEnsemble]
    optimisers: tuple[str, ...]
    steps: int
    inner: int
    seeds: int


def bandits(cell: Cell, seeds: Sequence[int], natural: bool = False) -> PolicyEnsemble:
    """Softmax bandits with planted conflict; `scale` times between largest and smallest reward."""
    rngs = [np.random.default_rng([seed, 0]) for seed in seeds]
    worlds = [bandit_world(rng, 3, 6, 3, cell["conflict"]) for rng in rngs]
    falling = cell["scale"] ** -torch.linspace(-0.5, 0.5, 3, dtype=torch.float64)
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


def find_optimiser(name: str) -> Optimiser:
    """The optimiser of a name such as sgd-1 or adamw-.003: a rule and its learning rate.

    Raises:
        CovlawError: on another rule, or a rate that is no number > 0.
    """
    rule, _, rate = name.partition("-")
    if rule not in RULES:
        raise unknown("optimiser", rule, tuple(RULES))
    try:
        value = float(rate)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise CovlawError(f"optimiser {name!r} has no learning rate > 0: write e.g. {rule}-.01")
    return RULES[rule](value)


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


RULES: Mapping[str, Callable[[float], Optimiser]] = {"sgd": sgd, "adamw": adamw}
_BANDIT = _grid(conflict=(0.25, 0.6, 0.95), scale=(1.0, 10.0))
WORLDS: Mapping[str, StudyWorld] = {
    "bandit": StudyWorld(_BANDIT, bandits, ("sgd-1", "adamw-.1"), 20, 4, 12),
    "bandit_natural": StudyWorld(_BANDIT, partial(bandits, natural=True), ("sgd-.05",), 20, 4, 12),
    "tabular": StudyWorld(
        _grid(conflict=(0.2, 0.5, 0.8)), tabular, ("sgd-2", "adamw-.1"), 20, 4, 24
    ),
    "transformer": StudyWorld(
        _grid(architecture=("qwen2", "llama", "gpt2"), width=(8, 16), mixture=tuple(MIXTURES)),
        transformers,
        ("adamw-.003", "adamw-.01", "adamw-.001", "sgd-.03"),
        20,
        2,
        4,
    ),
}
"""The exact worlds. A bandit's prompts have a logit an arm each; along the natural gradient its
steps are the law's own tilt. 72 draws a world, each under every optimiser: differences are paired,
shares by themselves are known to ±12 points (95 %)."""
