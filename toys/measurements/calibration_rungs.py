"""The worlds whose updates are forecast, and each rung's learning rates."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from covlaw.theory.worlds.world import World
from covlaw.toys.bandit import bandit_world
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.tabular import tabular_world
from covlaw.toys.token_rewards import OBJECTIVES, token_rewards
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.worlds import transformer_world

PROMPTS = torch.tensor([[0, 1], [1, 0], [0, 2], [2, 0], [1, 2], [2, 1]])


class CalibrationRung(NamedTuple):
    """Where worlds come from, and rates from moderate to large."""

    draw: Callable[[np.random.Generator], World]
    rates: Mapping[str, tuple[float, ...]]


def _bandit(rng: np.random.Generator) -> World:
    return bandit_world(rng, prompts=12, arms=6, conflict=0.6)


def _tabular(rng: np.random.Generator) -> World:
    tree = PrefixTree(vocabulary=4, length=3)
    shape = (len(PROMPTS), tree.contexts, tree.vocabulary)
    logits = torch.as_tensor(rng.normal(size=shape))
    return tabular_world(tree, logits, token_rewards(tree, PROMPTS, 0.5), OBJECTIVES).world


def _transformer(rng: np.random.Generator) -> World:
    shape = ModelShape(vocabulary=4, hidden=8, layers=2)
    return transformer_world(shape, 3, PROMPTS, int(rng.integers(2**31))).world


RUNGS: Mapping[str, CalibrationRung] = {
    "bandit": CalibrationRung(_bandit, {
        "SGD": (2.0, 4.0, 8.0, 16.0),
        "AdamW": (0.05, 0.1, 0.2, 0.4),
        "natural gradient": (0.1, 0.2, 0.4, 0.8),
    }),
    "tabular": CalibrationRung(_tabular, {
        "SGD": (4.0, 8.0, 16.0, 32.0),
        "AdamW": (0.05, 0.1, 0.2, 0.4),
        "natural gradient": (0.2, 0.4, 0.8, 1.6),
    }),
    "transformer": CalibrationRung(_transformer, {
        "SGD": (0.1, 0.2, 0.4, 0.8),
        "AdamW": (0.001, 0.002, 0.004, 0.008),
        "natural gradient": (0.1, 0.2, 0.4, 0.8),
    }),
}  # fmt: skip
"""At the first rates the law nearly holds, at the last it does not."""
