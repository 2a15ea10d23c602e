"""Token trees from the corners of what the statements promise to handle (see `nasty`)."""

import numpy as np
import torch
from hypothesis import strategies as st
from nasty import COLUMNS, SPREADS, _columns, _masses

from covlaw.theory.statements._support.random_trees import random_shape
from covlaw.theory.worlds.token_tree import TokenTree, softmax_tree


@st.composite
def nasty_trees(draw: st.DrawFn) -> TokenTree:
    """Draw a tree with awkward policy, masses and rewards; forced tokens occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = random_shape(rng, draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    kinds = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=8))
    scale = 10.0 ** draw(st.sampled_from([-9, -3, 0, 3, 9]))
    rewards = torch.as_tensor(scale * _columns(kinds, shape.prompt.numpy(), rng))
    counts = np.bincount(shape.prompt.numpy())
    choices = len(shape.context)
    design = torch.as_tensor(rng.normal(size=(choices, 3))) if draw(st.booleans()) else None
    width = choices if design is None else 3
    spread = draw(st.sampled_from(SPREADS))
    return softmax_tree(
        shape,
        torch.as_tensor(rng.normal(scale=spread, size=width)),
        rewards,
        tuple(f"objective {j}" for j in range(rewards.shape[1])),
        "nasty tree",
        _masses(draw(st.sampled_from([None, "even", "dominating"])), counts),
        design,
    )
