"""The tilt frontier at a given KL: where weights lead, and how far a policy is from it (T56).

Of all policies with KL(π ‖ π₀) ≤ D the tilt π_Λ ∝ π₀ e^{Λ·r} of that KL has the most Λ·J. So
h_D(λ) = λ·J(π_sλ), s such that KL = D, bounds λ·J of every policy at its own KL D, and

    room(π) = min {h_D(λ) − λ·J(π): λ ≥ 0, Σλ = 1} ≥ 0

is, by minimax, the largest amount by which some policy of no more KL has more of *every* reward. It
is 0 exactly where π is on the frontier. Many policies are batched along a leading axis R.
"""

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError

HALVINGS, ZOOMS = 40, 8
"""Of the strength on a logarithmic scale over 26 decades; of the search for weights."""
FINE, NARROWER = 4, 0.5
"""Parts of each side of the simplex that weights are tried on, and how fast it shrinks."""


class Tilted(NamedTuple):
    """Where tilts along some weights are."""

    values: Tensor
    """(R, M) E_x E r_j."""
    kl: Tensor
    """(R,) as asked for, or less where the best completions are reached before."""
    strength: Tensor
    """(R,)."""


class Room(NamedTuple):
    """Distance to the frontier at equal KL."""

    room: Tensor
    """(R,) in units of the scale; an upper bound that the search makes tight."""
    weights: Tensor
    """(R, M) the λ of the bound, for scaled rewards."""


def tilt_to(
    rewards: Tensor, mass: Tensor, prompt_mass: Tensor, weights: Tensor, kl: Tensor
) -> Tilted:
    """Tilt along weights until E_x KL(π_Λ ‖ π₀) = kl, by bisection.

    Args:
        rewards: (R, P, K, M) of every completion.
        mass: (R, P, K) π₀(y|x).
        prompt_mass: (P,) D(x).
        weights: (R, M).
        kl: (R,) nats ≥ 0.

    Raises:
        CovlawError: on shapes that do not fit, or a KL that is negative or not finite.
    """
    _check(rewards, mass, prompt_mass, weights, kl)
    score = (rewards * weights[:, None, None]).sum(-1)
    live = torch.where(mass > 0, score, -torch.inf)
    gap = torch.where(mass > 0, score - live.amax(2, keepdim=True), 0.0)
    size = -gap.amin((1, 2))
    unit = 1 / torch.where(size > 0, size, 1.0)
    low, high = torch.full_like(kl, -30.0), torch.full_like(kl, 30.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        more = _kl(gap, mass, prompt_mass, unit * middle.exp())[0] < kl
        low, high = torch.where(more, middle, low), torch.where(more, high, middle)
    strength = torch.where(kl > 0, unit * low.exp(), 0.0)
    found, share = _kl(gap, mass, prompt_mass, strength)
    values = torch.einsum("p,rpk,rpkm->rm", prompt_mass, share, rewards)
    return Tilted(values, found, strength)


def room_at_kl(
    rewards: Tensor, mass: Tensor, prompt_mass: Tensor, values: Tensor, kl: Tensor, scale: Tensor
) -> Room:
    """By how much every reward could be higher at no more KL, in units of `scale`.

    Args:
        rewards: (R, P, K, M).
        mass: (R, P, K) of the policy that KL is measured from.
        prompt_mass: (P,).
        values: (R, M) J(π).
        kl: (R,) KL(π ‖ π₀).
        scale: (R, M) > 0, e.g. the attainable range of each reward.

    Raises:
        CovlawError: as `tilt_to`.
    """
    scaled, own = rewards / scale[:, None, None], values / scale
    count = rewards.shape[-1]
    corners = [g for g in product(range(FINE + 1), repeat=count) if sum(g) == FINE]
    grid = torch.tensor(corners, dtype=rewards.dtype) / FINE
    best = torch.full_like(kl, torch.inf)
    weights = torch.full_like(own, 1 / count)
    every = len(grid)
    many, chance, cost = (x.expand(every, *x.shape).flatten(0, 1) for x in (scaled, mass, kl))
    for zoom in range(ZOOMS):
        tried = (weights + NARROWER**zoom * (grid[:, None] - 1 / count)).clamp(min=0.0)
        tried = tried / tried.sum(2, keepdim=True)
        found = tilt_to(many, chance, prompt_mass, tried.flatten(0, 1), cost)
        over = (tried * (found.values.reshape(tried.shape) - own)).sum(2)
        least, place = over.min(0)
        better = least < best
        best = torch.where(better, least, best)
        here = tried[place, torch.arange(len(best))]
        weights = torch.where(better[:, None], here, weights)
    return Room(best, weights)


def _kl(gap: Tensor, mass: Tensor, prompt_mass: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    exponent = strength[:, None, None] * gap
    tilted = mass * exponent.exp()
    total = tilted.sum(2, keepdim=True)
    share = tilted / total
    kl = (share * exponent).sum(2) - total[..., 0].log()
    return kl.clamp(min=0.0) @ prompt_mass, share


def _check(rewards: Tensor, mass: Tensor, prompt_mass: Tensor, weights: Tensor, kl: Tensor) -> None:
    runs, prompts, size, count = rewards.shape
    shapes = (mass.shape, prompt_mass.shape, weights.shape, kl.shape)
    if shapes != ((runs, prompts, size), (prompts,), (runs, count), (runs,)):
        raise CovlawError(
            f"shapes {[tuple(s) for s in shapes]} do not fit rewards {tuple(rewards.shape)}: give "
            "mass (R, P, K), prompt_mass (P,), weights (R, M) and kl (R,)"
        )
    if not bool((torch.isfinite(kl) & (kl >= 0)).all()):
        raise CovlawError("a KL is negative or not finite: give nats ≥ 0")
