"""The barrier of the mean-std programme, its Newton steps and its line search, on a batch.

With the cones' auxiliary variables eliminated, the barrier of √(μ'C_xμ) is φ(τ D_x sd_x),
φ(s) = √(1+s²) − log(1+√(1+s²)): self-concordant, so Newton's method converges also at the kinks
sd_x = 0 (Nesterov & Nemirovskii 1994, ch. 2).
"""

from typing import NamedTuple

import torch
from torch import Tensor

CENTRED = 0.5
"""Newton decrement below which a point counts as centred."""
STEPS = (1.0, 0.9, 0.7, 0.45, 0.2, 0.08)
"""Trial steps, as shares of the way to the boundary."""


class Programme(NamedTuple):
    """(B, P, M, M) factors F_x with F_x'F_x = D_x²C_x, and (B, M) a ≥ 0 and b; of order 1."""

    factor: Tensor
    a: Tensor
    b: Tensor


def newton_step(programme: Programme, point: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Newton direction relative to μ (B, M), and its decrement (B,)."""
    count = point.shape[1]
    products, scale, root = _cones(programme, point, tau)
    gradient = (scale[..., None] * products).sum(1) - tau[:, None] * programme.b - 1 / point
    cones = programme.factor.mT @ programme.factor
    curvature = (scale[..., None, None] * cones).sum(1)
    curvature = curvature - products.mT @ ((scale.square() / root)[..., None] * products)
    relative = curvature * point[:, :, None] * point[:, None, :]
    system = point.new_zeros(point.shape[0], count + 1, count + 1)
    system[:, :count, :count] = relative + torch.eye(count).to(point)
    system[:, :count, count] = system[:, count, :count] = programme.a * point
    right = torch.cat([-gradient * point, torch.zeros_like(point[:, :1])], 1)
    direction = torch.linalg.solve_ex(system, right)[0][:, :count].nan_to_num(0.0)
    curved = (system[:, :count, :count] @ direction[..., None])[..., 0]
    return direction, (direction * curved).sum(1).clamp(min=0.0).sqrt()


def _cones(programme: Programme, point: Tensor, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """D_x²C_xμ (B, P, M), its factor in τz (B, P), and √(1 + (τ D_x sd_x)²) (B, P)."""
    inside = programme.factor @ point[:, None, :, None]  # exact to rounding also where it is 0
    products = (programme.factor.mT @ inside)[..., 0]
    root = (1 + tau.square()[:, None] * inside.square().sum((2, 3))).sqrt()
    return products, tau.square()[:, None] / (1 + root), root


def line_search(
    programme: Programme, point: Tensor, direction: Tensor, decrement: Tensor, tau: Tensor
) -> Tensor:
    """The full step near the centre; else the trial step with the least barrier."""
    near, moved = decrement < CENTRED, point * (1 + direction)
    if not bool(near.all()):
        moved = torch.where(near[:, None], moved, _best_trial(programme, point, direction, tau))
    return moved / (programme.a * moved).sum(1, keepdim=True)


def _best_trial(programme: Programme, point: Tensor, direction: Tensor, tau: Tensor) -> Tensor:
    reach = 0.95 / (-direction).amax(1).clamp(min=0.95)
    shares = torch.tensor(STEPS).to(point)
    moves = (direction * point)[:, :, None] * (reach[:, None] * shares)[:, None, :]
    trials = point[:, :, None] + moves
    chosen = _barrier(programme, trials, tau).nan_to_num(torch.inf).argmin(1)
    return trials.gather(2, chosen[:, None, None].expand(-1, point.shape[1], 1))[:, :, 0]


def _barrier(programme: Programme, points: Tensor, tau: Tensor) -> Tensor:
    """The barrier at n points a problem, (B, M, n): (B, n)."""
    square = (programme.factor @ points[:, None]).square().sum(2)
    root = (1 + tau.square()[:, None, None] * square).sqrt()
    linear = tau[:, None] * (programme.b[:, :, None] * points).sum(1)
    return (root - (1 + root).log()).sum(1) - linear - points.log().sum(1)
