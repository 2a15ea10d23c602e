"""Least of E_x sd_x(μ·r) − b·μ on {a·μ = 1, μ ≥ 0}, with a certified interval for its value.

A second-order cone programme, solved by a long-step barrier method on a batch
(`mean_std_barrier`). The barrier's gradient τz is a sum of points inside the ellipsoids that g
supports, so min_j (z_j − b_j)/a_j is a lower bound whatever the accuracy of μ (Nesterov &
Nemirovskii 1994, ch. 3).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers.mean_std_barrier import CENTRED, Programme, line_search, newton_step

GROWTH = 8.0
"""Factor of the barrier's τ from one centre to the next, taken once μ is centred."""
ROUGH, SHARPEST = 2.0**15, 2.0**46
"""τ at which bounds are first taken, and the largest: the interval is (M + 2P)/τ wide."""
PATIENCE, CYCLES = 15, 400
"""Newton steps before τ grows all the same (rounding may forbid to centre), and at most."""


class Solution(NamedTuple):
    """μ (B, M) with a·μ = 1, and the interval (B,) each that holds the least value."""

    point: Tensor
    lower: Tensor
    upper: Tensor


class _Path(NamedTuple):
    """Where the problems that are not solved yet stand."""

    programme: Programme
    row: Tensor
    """(B,) the place of each in the batch."""
    point: Tensor
    tau: Tensor
    stay: Tensor
    """(B,) Newton steps at this τ."""

    def of(self, some: Tensor) -> "_Path":
        """Those where the mask is true."""
        if bool(some.all()):
            return self
        programme = Programme(*(field[some] for field in self.programme))
        return _Path(programme, *(field[some] for field in self[1:]))


def solve(programme: Programme) -> Solution:
    """Follow the central path from μ ∝ 1; keep the best of both bounds.

    Each problem stops by itself, so that its solution does not depend on the others'.
    """
    point = torch.ones_like(programme.a) / programme.a.sum(1, keepdim=True)
    least = torch.full_like(point[:, 0], torch.inf)
    best = Solution(point.clone(), -least, least.clone())
    every = torch.arange(len(least), device=least.device)
    path = _Path(programme, every, point, torch.ones_like(least), torch.zeros_like(least))
    for _ in range(CYCLES):
        direction, decrement = newton_step(path.programme, path.point, path.tau)
        _keep_better(best, path, direction)
        point = line_search(path.programme, path.point, direction, decrement, path.tau)
        stay = path.stay + 1
        done = (decrement < CENTRED) | (stay >= PATIENCE)
        left = ~(done & (path.tau >= SHARPEST))
        if not bool(left.any()):
            break
        tau = torch.where(done, (GROWTH * path.tau).clamp(max=SHARPEST), path.tau)
        stay = torch.where(done, 0.0, stay)
        path = path._replace(point=point, tau=tau, stay=stay).of(left)
    return best


def _keep_better(best: Solution, path: _Path, direction: Tensor) -> None:
    """Write the bounds at this point into `best`, where they are sharper."""
    sharp = path.tau >= ROUGH
    if not bool(sharp.any()):
        return
    some = path.of(sharp)
    new = _bounds(some.programme, some.point, direction[sharp], some.tau)
    old = Solution(*(field[some.row] for field in best))
    sharper = new.upper < old.upper
    best.point[some.row] = torch.where(sharper[:, None], new.point, old.point)
    best.lower[some.row] = torch.maximum(old.lower, new.lower.nan_to_num(-torch.inf))
    best.upper[some.row] = torch.where(sharper, new.upper, old.upper)


def _bounds(programme: Programme, point: Tensor, direction: Tensor, tau: Tensor) -> Solution:
    """The value at μ, and the lower bound of the dual point that Newton's step predicts."""
    inside, moved = (
        (programme.factor @ p[:, None, :, None])[..., 0] for p in (point, direction * point)
    )
    std = inside.square().sum(2).sqrt()
    root = (1 + (tau[:, None] * std).square()).sqrt()
    bend = tau[:, None].square() * (inside * moved).sum(2) / (root * (1 + root))
    dual = inside * (1 - bend)[..., None] + moved
    dual = dual * (tau[:, None] / (1 + root))[..., None]
    dual = dual / dual.norm(dim=2, keepdim=True).clamp(min=1.0)  # stay inside the ellipsoids
    slack = (programme.factor.mT @ dual[..., None])[..., 0].sum(1) - programme.b
    positive = programme.a > 0
    ratio = slack / torch.where(positive, programme.a, 1.0)
    ratio = torch.where(positive, ratio, torch.where(slack >= 0, torch.inf, -torch.inf))
    return Solution(point, ratio.amin(1), std.sum(1) - (programme.b * point).sum(1))


def factors(matrices: Tensor) -> Tensor:
    """F with F'F = C (..., M, M): eigenvalues that are rounding become exact zeros."""
    values, vectors = torch.linalg.eigh(matrices)
    noise = rounding(values[..., -1:], 4 * values.shape[-1])
    root = torch.where(values > noise, values, 0.0).sqrt()
    factor: Tensor = root[..., None] * vectors.mT
    return factor
