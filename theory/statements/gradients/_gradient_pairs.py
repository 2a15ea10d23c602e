"""How plain gradients and covariances of pairs of signals compare, with rounding bounds (T13)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.kernel_spectrum import KernelSpectrum, extremal_pair
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.statements._support.gradient_rounding import (
    gradient_roundings,
    largest_score_norm,
)
from covlaw.theory.statements.base import Part
from covlaw.theory.worlds.world import World


class Pairs(NamedTuple):
    """Statistics of n pairs (r, s), (n,) each."""

    alignment: Tensor
    """⟨∇J_r, ∇J_s⟩, by autograd through the enumerated values."""
    covariance: Tensor
    sd_reward: Tensor
    sd_score: Tensor
    size: Tensor
    """√E r²·√E s²: the scale on which covariances round."""
    error: Tensor
    """Rounding of the alignment, and of k·covariance for any eigenvalue k."""


def has_choice(world: World) -> bool:
    """Whether some prompt of positive mass has two completions or more."""
    live = world.prompt[world.row_weight() > 0]
    return len(live) > len(torch.unique(live))


def attaining_pairs(spectrum: KernelSpectrum, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Three pairs that attain the bound, or the only mode there is with itself: (N, n) each."""
    if spectrum.modes.shape[1] < 2:
        return spectrum.modes, spectrum.modes
    pairs = [extremal_pair(spectrum, float(c)) for c in (*rng.uniform(-1, 1, size=2), 0.0)]
    rewards, scores = zip(*pairs, strict=True)
    return torch.stack(rewards, 1), torch.stack(scores, 1)


def measure(world: World, rewards: Tensor, scores: Tensor) -> Pairs:
    """Compare the columns of `rewards` with those of `scores`, (N, n) each."""
    weight, groups = world.row_weight(), group_by_prompt(world.prompt)
    gradients = value_gradients(world, torch.cat([rewards, scores], 1)).split(rewards.shape[1])
    r, s = (groups.centre(f, world.log_prob_at().exp()) for f in (rewards, scores))
    size = (weight @ rewards.square()).sqrt() * (weight @ scores.square()).sqrt()
    steepest = largest_score_norm(world) ** 2
    return Pairs(
        alignment=(gradients[0] * gradients[1]).sum(1),
        covariance=weight @ (r * s),
        sd_reward=(weight @ r.square()).sqrt(),
        sd_score=(weight @ s.square()).sqrt(),
        size=size,
        error=rounding(size * steepest, 4 * gradient_roundings(world)),
    )


def certified_signs(pairs: Pairs, threshold: Tensor, rows: int) -> Part:
    """Alignments of pairs with |corr| above a threshold, as a bound: wrong signs measure above 0.

    Args:
        pairs: Of n pairs.
        threshold: () or (n,) in [0, 1].
        rows: N, which the covariance's own rounding depends on.
    """
    margin = rounding(pairs.size, 64 * rows)
    certified = pairs.covariance.abs() > threshold * pairs.sd_reward * pairs.sd_score + margin
    wrong = (-pairs.alignment * pairs.covariance.sign())[certified]
    return wrong, torch.zeros_like(wrong), pairs.error[certified]


def interlacing(world: World, spectrum: KernelSpectrum) -> list[Part]:
    """One free logit a completion: min D·π ≤ k_min and k_max ≤ max D·π, so κ ≤ their ratio."""
    if not world.tabular:
        return []
    live = world.row_weight()[world.row_weight() > 0]
    ends = [*live.aminmax(), *spectrum.eigenvalues.aminmax()]
    low, high, smallest, largest = (x[None] for x in ends)
    error = rounding(high, 8 * len(spectrum.modes) + world.depth)
    return [(low, smallest, error), (largest, high, error)]
