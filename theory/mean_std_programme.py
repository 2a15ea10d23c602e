"""Least of E_x sd_x(μ·r) − b·μ on {a·μ = 1, μ ≥ 0}, with a certified interval for its value.

A second-order cone programme, solved by a long-step barrier method on a batch. With the cones'
auxiliary variables eliminated, the barrier of √(μ'C_xμ) is φ(τ D_x sd_x), φ(s) = √(1+s²) −
log(1+√(1+s²)): self-concordant, so Newton's method converges also at the kinks sd_x = 0. Its
gradient τz is a sum of points inside the ellipsoids that g supports, so min_j (z_j − b_j)/a_j is
a lower bound whatever the accuracy of μ (Nesterov & Nemirovskii 1994, ch. 2 and 3).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory.rounding import rounding

GROWTH = 8.0
"""Factor of the barrier's τ from one centre to the next."""
ROUGH, SHARPEST = 2.0**15, 2.0**46
"""τ at which bounds are first taken, and the largest: the interval is (M + 2P)/τ wide."""
CENTRED = 0.5
"""Newton decrement below which τ grows."""
PATIENCE, CYCLES = 15, 400
"""Newton steps before τ grows all the same (rounding may forbid to centre), and at most."""
STEPS = (1.0, 0.9, 0.7, 0.45, 0.2, 0.08)
"""Trial steps, as shares of the way to the boundary."""


class Programme(NamedTuple):
    """(B, P, M, M) factors F_x with F_x'F_x = D_x²C_x, and (B, M) a ≥ 0 and b; of order 1."""

    factor: Tensor
    a: Tensor
    b: Tensor


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
        direction, decrement = _newton(path.programme, path.point, path.tau)
        _keep_better(best, path, direction)
        point = _line_search(path.programme, path.point, direction, decrement, path.tau)
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


def _newton(programme: Programme, point: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
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


def _line_search(
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
