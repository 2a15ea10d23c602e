"""Worlds, updates and inner steps from the corners of what the statements promise to handle.

Ties, zero-variance prompts, near-deterministic policies, one dominating prompt, prompts with one
completion, 1 to 8 objectives, rewards of scale 1e-9 to 1e9, duplicated objectives.
"""

from functools import partial

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.statements._support.random_instances import inner_steps_from, updates_from
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World

SPREADS = (0.0, 1.0, 10.0)
"""Standard deviations of the logits: uniform, usual, near-deterministic (odds up to e^30)."""

COLUMNS = ("normal", "ties", "binary", "constant", "flat prompt", "duplicate")


@st.composite
def nasty_worlds(draw: st.DrawFn) -> World:
    """Draw a log-linear or tabular softmax policy with awkward masses and rewards."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = np.array(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    kinds = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=8))
    spread = draw(st.sampled_from(SPREADS))
    scale = 10.0 ** draw(st.sampled_from([-9, -3, 0, 3, 9]))
    tabular = draw(st.booleans())
    prompt = np.repeat(np.arange(len(sizes)), sizes)
    rewards = scale * _columns(kinds, prompt, rng)
    mass = draw(st.sampled_from([None, "even", "dominating"]))
    return _softmax(rng, prompt, torch.as_tensor(rewards), _masses(mass, sizes), spread, tabular)


def nasty_updates() -> st.SearchStrategy[Update]:
    """Plain and Adam-like steps, on- and off-policy, from a nasty world."""
    return st.builds(_update, nasty_worlds(), st.integers(0, 2**32 - 1), st.integers(0, 5))


def nasty_inner_steps() -> st.SearchStrategy[InnerStep]:
    """Inner steps from a nasty world, unclipped to mostly clipped, with and without dual clip."""
    return st.builds(_inner_step, nasty_worlds(), st.integers(0, 2**32 - 1), st.integers(0, 5))


def _update(world: World, seed: int, kind: int) -> Update:
    return list(updates_from(lambda _: world, np.random.default_rng(seed), kind + 1))[kind]


def _inner_step(world: World, seed: int, kind: int) -> InnerStep:
    return list(inner_steps_from(lambda _: world, np.random.default_rng(seed), kind + 1))[kind]


def _columns(kinds: list[str], prompt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, columns = len(prompt), []
    for kind in kinds:
        normal = rng.normal(size=rows)
        columns.append(
            {
                "normal": normal,
                "ties": rng.integers(0, 3, size=rows).astype(float),
                "binary": (normal > 0).astype(float),
                "constant": np.full(rows, normal[0]),
                "flat prompt": np.where(prompt == 0, 1.0, normal),
                "duplicate": columns[-1] if columns else normal,
            }[kind]
        )
    return np.stack(columns, 1)


def _masses(kind: str | None, sizes: np.ndarray) -> Tensor | None:
    prompts = len(sizes)
    if kind is None:
        return None
    rest = 1e-9 if kind == "dominating" and prompts > 1 else 1 - 1 / prompts
    others = torch.full((prompts,), rest / max(prompts - 1, 1), dtype=torch.float64)
    others[0] = 1 - rest
    return others


def _softmax(
    rng: np.random.Generator,
    prompt: np.ndarray,
    rewards: Tensor,
    prompt_mass: Tensor | None,
    spread: float,
    tabular: bool,
) -> World:
    rows, index = len(prompt), torch.as_tensor(prompt)
    width = rows if tabular else int(rng.integers(1, rows + 1))
    design = (
        torch.eye(rows, dtype=torch.float64)
        if tabular
        else torch.as_tensor(rng.normal(size=(rows, width)) / np.sqrt(width))
    )
    return World(
        label="nasty tabular softmax" if tabular else "nasty log-linear softmax",
        prompt=index,
        rewards=rewards,
        names=tuple(f"objective {j}" for j in range(rewards.shape[1])),
        theta=torch.as_tensor(rng.normal(scale=spread, size=width)),
        log_prob=partial(_log_prob, design, index, int(index.max()) + 1),
        prompt_mass=prompt_mass,
        tabular=tabular,
        depth=2 * width + 8,
    )


def _log_prob(design: Tensor, index: Tensor, prompts: int, theta: Tensor) -> Tensor:
    return log_softmax_by_prompt(design @ theta, index, prompts)
