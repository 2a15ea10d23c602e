"""Worlds made from a world: fewer directions to move in, or fewer completions to draw."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.worlds.world import World


def in_subspace(world: World, rng: np.random.Generator, dimensions: int) -> World:
    """The same policy with `dimensions` parameters z, θ = θ0 + Vz, V random.

    Its scores are one forward-mode pass a dimension, however large N and D are, and they rarely
    span the advantages.
    """
    normal = rng.standard_normal((dimensions, world.theta.shape[0]))
    directions = torch.as_tensor(normal / np.sqrt(world.theta.shape[0]))

    def log_prob(z: Tensor) -> Tensor:
        return world.log_prob(world.theta + z @ directions)

    scores = torch.stack([world.directional(v) for v in directions], 1)
    return World(
        label=f"{world.label}, {dimensions} directions",
        prompt=world.prompt,
        rewards=world.rewards,
        names=world.names,
        theta=torch.zeros(dimensions, dtype=torch.float64),
        log_prob=log_prob,
        prompt_mass=world.prompt_mass,
        depth=world.depth + world.theta.shape[0],
        cache={"scores": scores, "log_prob": world.log_prob_at()},
    )


def on_few_completions(
    world: World, rng: np.random.Generator, prompts: int = 3, completions: int = 6
) -> World:
    """The policy given that the completion is one of at most six, for at most three prompts.

    Kept at random; probabilities are renormalised within prompts and over them.
    """
    ids = torch.unique(world.prompt).numpy()
    kept = np.sort(rng.permutation(len(ids))[:prompts])
    rows = [rng.permutation(np.flatnonzero(world.prompt == ids[x]))[:completions] for x in kept]
    row = torch.as_tensor(np.concatenate(rows))
    index = torch.as_tensor(np.repeat(np.arange(len(kept)), [len(r) for r in rows]))
    outer = None if world.prompt_mass is None else world.prompt_mass[torch.as_tensor(kept)]

    def log_prob(theta: Tensor) -> Tensor:
        return log_softmax_by_prompt(world.log_prob(theta)[row], index, len(kept))

    return World(
        label=f"{world.label}, few completions",
        prompt=index,
        rewards=world.rewards[row],
        names=world.names,
        theta=world.theta,
        log_prob=log_prob,
        prompt_mass=None if outer is None else outer / outer.sum(),
        depth=world.depth + completions,
    )
