"""T24: the clipped surrogate's gradient is E_old[W ∇log π_θ], W = ρ·A·1[not clipped]."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses.clipping import Clip, clipped_surrogate
from covlaw.theory.statements._support.random_instances import nearby, random_score
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.worlds.world import World

DIRECTIONS = 3
"""Random directions along which the two gradients are compared."""


class _Displaced(NamedTuple):
    theta: Tensor  # (D,) away from π_old
    advantage: Tensor  # (N,) of π_old
    log_ratio: Tensor  # (N,)
    clip: Clip


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Reverse-mode gradient of the loss against W times forward-mode scores."""
    at = _displace(world, rng)
    weight = effective_weight(at.advantage, at.log_ratio, None, *at.clip)
    return _compare(world, at, weight, rng)


def sides_swapped(world: World, rng: np.random.Generator) -> Sides:
    """Clip by the sign of −A: the upper bound where A < 0, the lower where A > 0."""
    at = _displace(world, rng)
    weight = -effective_weight(-at.advantage, at.log_ratio, None, *at.clip)
    return _compare(world, at, weight, rng)


def without_ratio(world: World, rng: np.random.Generator) -> Sides:
    """W = A·1[not clipped]."""
    at = _displace(world, rng)
    weight = effective_weight(at.advantage, at.log_ratio, None, *at.clip)
    return _compare(world, at, weight * (-at.log_ratio).exp(), rng)


def surrogate_gradient(world: World, at: _Displaced) -> Tensor:
    """∇_θ E_old[clipped surrogate] by reverse mode: (D,)."""
    theta = at.theta.clone().requires_grad_()
    log_ratio = world.log_prob(theta) - world.log_prob_at()
    surrogate = clipped_surrogate(at.advantage, log_ratio, *at.clip)
    (gradient,) = torch.autograd.grad(world.row_weight() @ surrogate, theta)
    return gradient


def _displace(world: World, rng: np.random.Generator) -> _Displaced:
    advantage = centred_score(world, random_score(world, rng))
    theta = nearby(world, rng, float(10 ** rng.uniform(-2, 0.3)))
    low, high = (float(x) for x in rng.uniform(0.05, 0.4, size=2))
    dual = float(rng.uniform(1.2, 3)) if rng.integers(2) else None
    log_ratio = world.log_prob_at(theta) - world.log_prob_at()
    return _Displaced(theta, advantage, log_ratio, (low, high, dual))


def _compare(world: World, at: _Displaced, weight: Tensor, rng: np.random.Generator) -> Sides:
    gradient = surrogate_gradient(world, at)
    size = gradient.shape[0]
    directions = torch.as_tensor(rng.normal(size=(DIRECTIONS, size)))
    slopes = torch.stack([world.directional(v, at.theta) for v in directions])
    weight = world.row_weight() * weight
    # A slope is a sum of D products; for a normal direction their sizes add to about √D times
    # the steepest slope: flat ones are differences of steep ones (∇ log π = φ − E φ).
    magnitude = size**0.5 * weight.abs().sum() * slopes.abs().max()
    tolerance = rounding(magnitude, world.depth + size + weight.shape[0] + 8)
    return Sides(directions @ gradient, slopes @ weight, tolerance.expand(DIRECTIONS))


STATEMENT = Statement(
    id="T24",
    title="The gradient of the clipped surrogate is the mean of W times the score",
    kind="identity",
    explanation="A is the advantage computed from the policy π_old that sampled, ρ the ratio "
    "π_θ/π_old after some inner steps. PPO's clipping removes a completion from the gradient once "
    "it has moved far enough in the direction it is pushed, and only then, so W = ρ·A is kept "
    "even where ρ is far from 1 on the other side. The loss's whole gradient is therefore an "
    "average of W times ∇log π_θ, and W is what takes the place of the training score in the law.",
    formula="∇L_clip = E_old[W ∇log π_θ], W = ρ·A·1[not clipped]",
    latex=r"\nabla L_{\mathrm{clip}}=\mathbb{E}_{\mathrm{old}}[W\,\nabla\log\pi_\theta],"
    r"\quad W=\rho A\,\mathbf 1",
    assumptions=(
        "A comes from π_old",
        "unclipped: A ≥ 0 → ρ ≤ 1 + ε_high; A < 0 → ρ ≥ 1 − ε_low, and ρ ≤ c with dual clip",
        "no completion sits exactly on a clip bound",
    ),
    source="Schulman et al. 2017; Ye et al. 2020 (dual clip)",
    needs=World,
    sides=sides,
    control=NegativeControl("clip sides swapped: the upper bound where A < 0", sides_swapped),
    nearer=(NegativeControl("W without the ratio: A·1[not clipped]", without_ratio),),
    not_applicable={
        "llm": "the gradient of a full model is not recorded; a test of the trainer covers it"
    },
)
