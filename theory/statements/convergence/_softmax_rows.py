"""Softmax bandits as rows of one padded batch: ascent of many prompts and rewards at once (T44)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.dynamics.softmax_convergence import CURVATURE
from covlaw.theory.geometry.smoothness import tabular_smoothness
from covlaw.theory.worlds.world import World

CHUNK = 512


class SoftmaxRows(NamedTuple):
    """B bandits in units of their own reward range; padding has log-prob −inf and shortfall 0."""

    log_prob: Tensor
    """(B, n) log π_0."""
    shortfall: Tensor
    """(B, n) (r* − r_a)/R in [0, 1]; 0 and 1 both occur."""
    step: Tensor
    """(B,) γ·R in (0, 2·9/√3); NaN where the policy has no logit a completion: tilts only."""

    @property
    def free_logits(self) -> "SoftmaxRows":
        """The rows with one free logit a completion."""
        keep = torch.isfinite(self.step)
        return SoftmaxRows(*(field[keep] for field in self))


def rows_of(source: "World | SoftmaxRows") -> SoftmaxRows:
    """A world's prompts and objectives as rows, or rows as they are."""
    return source if isinstance(source, SoftmaxRows) else world_rows(source)


def world_rows(world: World) -> SoftmaxRows:
    """Each pair of a prompt and an objective that varies on its support.

    Plain ascent on J_j with the step 1/L of the whole world moves a prompt's logits as its own
    bandit would be moved by the step D(x)/L.
    """
    groups = group_by_prompt(world.prompt)
    columns = torch.cat([world.log_prob_at()[:, None], world.rewards], 1)
    table, live = padded_by_prompt(world, columns)
    log_prob, reward = torch.where(live, table[..., 0], -torch.inf), table[..., 1:]
    support = torch.isfinite(log_prob)[..., None]
    best = torch.where(support, reward, -torch.inf).amax(1, keepdim=True)
    shortfall = torch.where(support, best - reward, 0.0)
    span = shortfall.amax(1)
    share = world.prompt_mass
    if share is None:
        share = torch.full((len(groups.counts),), 1 / len(groups.counts), dtype=torch.float64)
    smoothness = tabular_smoothness(world.rewards, world.prompt, world.prompt_mass)
    step = share[:, None] * span / torch.where(smoothness > 0, smoothness, 1.0)
    scaled = shortfall / torch.where(span > 0, span, 1.0)[:, None]
    rows = SoftmaxRows(
        log_prob[:, None].expand(-1, reward.shape[2], -1).flatten(0, 1),
        scaled.mT.flatten(0, 1),
        (step if world.tabular else torch.full_like(step, torch.nan)).flatten(),
    )
    return SoftmaxRows(*(field[span.flatten() > 0] for field in rows))


def padded_by_prompt(world: World, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, C) as (P, n, C), a prompt a row, padded with 0; and what is not padding (P, n)."""
    groups = group_by_prompt(world.prompt)
    order = groups.position.argsort(stable=True)
    prompt = groups.position[order]
    place = torch.arange(len(order)) - (groups.counts.cumsum(0) - groups.counts)[prompt]
    shape = (len(groups.counts), int(groups.counts.max()))
    table = columns.new_zeros((*shape, columns.shape[1]))
    table[prompt, place] = columns[order]
    return table, torch.arange(shape[1]) < groups.counts[:, None]


def draw_rows(rng: np.random.Generator, count: int) -> Iterator[SoftmaxRows]:
    """Yield batches of `count` bandits in all, of 2–8 arms, ties and rare best arms among them."""
    for first in range(0, count, CHUNK):
        yield random_rows(rng, min(CHUNK, count - first))


def random_rows(rng: np.random.Generator, count: int) -> SoftmaxRows:
    """Draw bandits of one number of arms; a third take the step 1/L, others up to 1.9/L."""
    arms = int(rng.integers(2, 9))
    spread = rng.choice([0.3, 1.0, 3.0], (count, 1))
    logits = torch.as_tensor(rng.normal(size=(count, arms)) * spread)
    ties = rng.random((count, 1)) < 0.3
    uniform = rng.random((count, arms))
    reward = np.where(ties, rng.integers(0, 3, (count, arms)), uniform)
    reward[:, 0], reward[:, 1] = reward.min(1) - 0.1, reward.max(1) + rng.choice([0, 0.1], count)
    shortfall = reward.max(1, keepdims=True) - reward
    lengths = np.where(rng.random(count) < 1 / 3, 1.0, rng.uniform(0.1, 1.9, count))
    return SoftmaxRows(
        logits.log_softmax(1),
        torch.as_tensor(shortfall / shortfall.max(1, keepdims=True)),
        torch.as_tensor(lengths / CURVATURE),
    )
