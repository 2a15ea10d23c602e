"""A real update of an enumerated world: clipped inner steps on one sampled batch."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.geometry.kernel_spectrum import score_kernel_spectrum
from covlaw.theory.geometry.natural_gradient import dense_damped_natural_gradient
from covlaw.theory.losses import effective_weight
from covlaw.theory.worlds.world import World

Ascent = Callable[[Tensor, Tensor], Tensor]
"""(θ, ascent gradient there) → next θ; may remember earlier steps."""
CLIP = (0.2, 0.2, None)
DAMPING = 0.1
"""δ of (F + δI)⁻¹ĝ over F's largest eigenvalue: with less, the batch's noise in flat directions
takes over, where log π bends before the first order moves it."""


class ClippedUpdate(NamedTuple):
    """What a batch and an optimiser made of a policy."""

    theta: Tensor
    """(D,) after the update."""
    advantage: Tensor
    """(N,) s minus its mean over the prompt's batch: known for every completion."""
    weight: Tensor
    """(N,) W = ρ·A·1[not clipped], mean over the inner steps."""


def clipped_update(
    world: World, score: Tensor, batch: Tensor, ascent: Ascent, steps: int
) -> ClippedUpdate:
    """Ascend the clipped surrogate of a batch; ∇ = Σ frequency·W·∇log π_θ (T24).

    Args:
        world: The policy that sampled the batch.
        score: (N,) s.
        batch: (N,) how often each completion was drawn, at least one a prompt.
        ascent: Optimiser.
        steps: Inner steps.
    """
    groups, old = group_by_prompt(world.prompt), world.log_prob_at()
    frequency = batch / groups.spread(groups.sum(batch))
    advantage = score - groups.spread(groups.sum(frequency * score))
    row = world.row_weight(frequency)
    theta, weights = world.theta, []
    for _ in range(steps):
        weights.append(effective_weight(advantage, world.log_prob_at(theta) - old, None, *CLIP))
        theta = ascent(theta, world.score_sum(row * weights[-1], theta))
    return ClippedUpdate(theta, advantage, torch.stack(weights).mean(0))


def draw_batch(world: World, size: int, rng: np.random.Generator) -> Tensor:
    """Draw K completions of each prompt, as counts of each: (N,)."""
    mass, counts = world.log_prob_at().exp(), torch.zeros(len(world.prompt), dtype=torch.float64)
    for x in torch.unique(world.prompt):
        rows = (world.prompt == x).nonzero()[:, 0]
        share = mass[rows].numpy()
        counts[rows] = torch.as_tensor(rng.multinomial(size, share / share.sum())).to(counts)
    return counts


def gradient_ascent(rate: float) -> Ascent:
    """θ + η·ĝ."""
    return lambda theta, gradient: theta + rate * gradient


def natural_ascent(world: World, rate: float) -> Ascent:
    """θ + η·(F + δI)⁻¹ĝ, F the Fisher matrix of the policy that sampled the batch."""
    damping = DAMPING * float(score_kernel_spectrum(world).largest)
    return lambda theta, gradient: (
        theta + rate * dense_damped_natural_gradient(world, gradient, damping)
    )


def adamw_ascent(rate: float, weight_decay: float = 0.01) -> Ascent:
    """`torch.optim.AdamW`, its memory kept over the inner steps."""
    parameter, optimiser = torch.nn.Parameter(torch.zeros(0)), None

    def ascent(theta: Tensor, gradient: Tensor) -> Tensor:
        nonlocal parameter, optimiser
        if optimiser is None:
            parameter = torch.nn.Parameter(theta.clone())
            optimiser = torch.optim.AdamW([parameter], lr=rate, weight_decay=weight_decay)
        parameter.grad = -gradient
        optimiser.step()
        return parameter.detach().clone()

    return ascent
