"""All batches of K completions of small prompts, their probabilities and gradient estimates."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.statements._support.gradient_rounding import is_dense
from covlaw.theory.statements._support.restricted_worlds import in_subspace
from covlaw.theory.worlds.world import World

COMPLETIONS = 2
"""K: the fewest that give an unbiased gradient."""

KEPT, PROMPTS, DIRECTIONS = 6, 3, 6
"""Completions a prompt, prompts, and parameters where a world has too many to list."""


class SampledPrompt(NamedTuple):
    """One prompt, small enough to list every batch."""

    share: float
    """D(x)."""
    mass: Tensor
    """(n,) probabilities of its completions."""
    rewards: Tensor
    """(n, M)."""
    scores: Tensor
    """(n, D) ∇log π, centred."""

    def gradients(self) -> Tensor:
        """g_j = Cov(r_j, ∇log π): (M, D)."""
        centred = self.rewards - self.mass @ self.rewards
        return (centred * self.mass[:, None]).T @ self.scores

    def batches(self, completions: int = COMPLETIONS) -> tuple[Tensor, Tensor]:
        """Probability of every ordered batch (B,), and its K − 1 gradient estimate (B, M, D)."""
        count = len(self.mass)
        grid = torch.cartesian_prod(*[torch.arange(count)] * completions)
        rewards, scores = self.rewards[grid], self.scores[grid]
        rewards = rewards - rewards.mean(1, keepdim=True)
        scores = scores - scores.mean(1, keepdim=True)
        return self.mass[grid].prod(1), rewards.mT @ scores / (completions - 1)


def sampled_prompts(world: World, rng: np.random.Generator) -> list[SampledPrompt]:
    """At most three prompts of at most six completions each, renormalised; shares sum to 1."""
    small = world if is_dense(world) else in_subspace(world, rng, DIRECTIONS)
    scores, weight = small.scores(), small.row_weight()
    found = []
    for x in torch.unique(world.prompt)[:PROMPTS]:
        rows = (world.prompt == x).nonzero()[:, 0]
        rows = rows[torch.as_tensor(rng.permutation(len(rows))[:KEPT])]
        total = weight[rows].sum()
        if not bool(total > 0):
            continue
        mass = weight[rows] / total
        centred = scores[rows] - mass @ scores[rows]
        found.append(SampledPrompt(float(total), mass, world.rewards[rows], centred))
    whole = sum(prompt.share for prompt in found)
    return [prompt._replace(share=prompt.share / whole) for prompt in found]
