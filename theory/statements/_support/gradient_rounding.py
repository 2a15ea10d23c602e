"""Rounding bounds of gradients, and the worlds small enough for dense Jacobians (T11, T12)."""

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.worlds.world import World

_PROBES = 4


def is_dense(world: World) -> bool:
    """Whether N ≤ 600 and the (N, D) Jacobian fits in 64 MB."""
    rows = world.prompt.shape[0]
    return rows <= 600 and rows * world.theta.shape[0] <= 2**23


def largest_score_norm(world: World) -> float:
    """max_y ‖∇log π(y|x)‖: exact where the scores are at hand, else from four Gaussian probes.

    A probe v has E⟨∇log π, v⟩² = ‖∇log π‖²; the largest of many estimates errs upwards.
    """
    if is_dense(world) or "scores" in world.cache:
        return float(world.scores().norm(dim=1).max())
    normal = np.random.default_rng(0).standard_normal((_PROBES, world.theta.shape[0]))
    slopes = torch.stack([world.directional(torch.as_tensor(v)) for v in normal])
    return float(slopes.square().mean(0).max().sqrt())


def gradient_roundings(world: World) -> int:
    """Roundings on the way to ⟨∇J_j, v⟩: a log-prob's depth, the sums over N and over D."""
    return 8 * (world.depth + world.prompt.shape[0] + world.theta.shape[0])


def alignment_rounding(world: World, score: Tensor) -> Tensor:
    """Bound the rounding of ⟨∇J_j, ∇J_s⟩: γ·max|r_j|·max|s|·L², L the largest score norm: (M,).

    L and not the mean norm: where π(y|x) is nearly 1, ∇log π is a small difference of features
    whose rounding does not shrink with it.
    """
    scale = world.rewards.abs().amax(0) * score.abs().max() * largest_score_norm(world) ** 2
    return rounding(scale, gradient_roundings(world))
