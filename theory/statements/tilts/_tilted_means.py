"""The referee for whole curves: tilted means at many real or complex strengths at once, in NumPy.

Rewards and scores are taken relative to an arm of the same prompt, so offsets do not round.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.worlds.world import World

Array = NDArray[np.inexact]
Rows = NDArray[np.intp]


def tilted_means(world: World, values: Array, score: Array, etas: Array) -> Array:
    """E_{π_η}[r_j|x] − r_j(first arm of x): (E, P, M), complex for complex η.

    Args:
        world: The policy π.
        values: (N, M).
        score: (N,).
        etas: (E,) strengths.
    """
    curves = []
    for rows in _rows(world):
        weight = _weights(world, score[rows], etas, rows)
        curves.append(weight @ (values[rows] - values[rows[0]]) / weight.sum(1, keepdims=True))
    return np.stack(curves, axis=1)


def partition_turns(world: World, score: Array, radius: float, nodes: int = 128) -> Array:
    """Zeros of E_x e^{ts} in |t| < radius, prompt by prompt: (P,), by the argument principle.

    The number of times E_x e^{ts} turns around 0 while t goes once around the circle.
    """
    circle = radius * np.exp(2j * np.pi * np.arange(nodes + 1) / nodes)
    turns = []
    for rows in _rows(world):
        mass, own = world.log_prob_at().exp().numpy()[rows], score[rows]
        live = mass > 0
        # relative to one score for all t: the factor e^{ts} does not turn around 0
        gap = own[live] - own[live].min() - np.ptp(own[live]) / 2
        partition = np.exp(circle[:, None] * gap) @ mass[live]
        turns.append(np.angle(partition[1:] / partition[:-1]).sum() / (2 * np.pi))
    return np.rint(turns)


def share(world: World) -> Array:
    """D(x): (P,)."""
    if world.prompt_mass is None:
        count = len(_rows(world))
        return np.full(count, 1 / count)
    return np.asarray(world.prompt_mass.numpy())


def reward_range(world: World, values: Array) -> Array:
    """R_x on the support: (P, M)."""
    mass = world.log_prob_at().exp().numpy()
    spans = [np.ptp(values[rows[mass[rows] > 0]], axis=0) for rows in _rows(world)]
    return np.stack(spans)


def roundings(world: World, eta: float = 0.0) -> int:
    """Roundings inside one tilted mean: a sum over a prompt, one over prompts, 8|η| an exponent."""
    counts = group_by_prompt(world.prompt).counts
    return int(counts.max()) + len(counts) + 16 + math.ceil(8 * abs(eta))


def _rows(world: World) -> list[Rows]:
    ids, index = torch.unique(world.prompt, return_inverse=True)
    return [np.flatnonzero(index.numpy() == x) for x in range(len(ids))]


def _weights(world: World, score: Array, etas: Array, rows: Rows) -> Array:
    """π e^{ηs} (E, n) relative to the score that each η favours: no overflow."""
    mass = world.log_prob_at().exp().numpy()[rows]
    live = mass > 0
    favoured = np.where(etas.real < 0, score[live].min(), score[live].max())
    gap = np.where(live, score - favoured[:, None], 0.0)
    weights: Array = mass * np.exp(etas[:, None] * gap)
    return weights
