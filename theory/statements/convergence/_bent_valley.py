"""A PL function of two variables on which a gradient step gains less than on any quadratic (T41).

f = r²/2, r(x) = 1 + κ·φ(x/√κ), κ small, with φ a quadratic spline that is linear far out. Then
f* = 0 is attained, and |∇f|² = 2f·|∇r|², |∇r|² = κ|∇φ|²: with |∇φ| ≥ m, f is PL with μ = κm².
∇²f = κ∇φ∇φ' + r∇²φ: L ≤ κ|∇φ|² + |r|·|∇²φ|. In one variable |φ'| ≥ m would make φ fall by at least
m a unit of length. Here the gradient turns away from the step while it stays as long as it has to.

Gradient, ∇²φ and φ of every cell lie in the hull of their Bernstein coefficients, which gives m and
L with certainty. `tools/bent_valley.py` found the table.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding

KAPPA = 1e-4
STEP = 1.95
"""γ·L."""
START = (5.0, 7.5)
"""In units of the grid."""
SLOPE = (-2.9653, 1.4834)
"""∇φ far out, in units of the grid."""
TABLE = (
    (-33, -134, -236, 376, 54, -683, -991, -889, -269, 178),
    (-66, -100, 189, 554, 68, -1278, -1965, -1882, -1066, -269),
    (-41, 79, 399, 594, 58, -1477, -2036, -1947, -996, -57),
    (30, 199, 375, 331, -173, -1483, -1895, -1640, -449, 239),
    (86, 214, 204, -53, -594, -1466, -1638, -1092, 50, 463),
    (100, 145, -49, -535, -982, -1397, -1116, -133, 593, 585),
    (73, 26, -292, -993, -1067, -1019, -314, 702, 954, 543),
    (13, -114, -402, -1012, -826, -289, 664, 1186, 1154, 398),
    (-75, -247, -529, -693, -147, 588, 1237, 1526, 1244, 226),
    (-201, -312, -341, -288, 290, 718, 982, 999, 905, 325),
)
"""1,000 times the spline's coefficients beside the slope's; 0 on three more rings around."""
RINGS = 3
_VALUE = torch.tensor([[0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5]], dtype=torch.float64)
_FIRST = torch.tensor([[-1, 1, 0], [-0.5, 0, 0.5], [0, -1, 1]], dtype=torch.float64)
_SECOND = torch.tensor([[1, -2, 1]] * 3, dtype=torch.float64)
"""A cell's three coefficients → Bernstein coefficients of degree 2 of s, s′ and s″."""


class Constants(NamedTuple):
    """Bounds that hold everywhere, scalars."""

    mu: Tensor
    smoothness: Tensor


@cache
def coefficients() -> Tensor:
    """(16, 16), without the slope."""
    table = torch.tensor(TABLE, dtype=torch.float64) / 1000
    return torch.nn.functional.pad(table, (RINGS,) * 4)


@cache
def constants() -> Constants:
    """μ and L, certified cell by cell; far out |∇r|² = κ·|SLOPE|² serves for both."""
    blocks = coefficients().unfold(0, 3, 1).unfold(1, 3, 1)

    def bernstein(along: Tensor, across: Tensor) -> Tensor:
        return (along @ blocks @ across.T).flatten(2)  # (14, 14, 9)

    gradient = torch.stack([bernstein(_FIRST, _VALUE), bernstein(_VALUE, _FIRST)], -1)
    gradient = gradient + gradient.new_tensor(SLOPE)
    mean = gradient.mean(2, keepdim=True)
    least = (gradient * mean / mean.norm(dim=-1, keepdim=True)).sum(-1).amin()
    far = gradient.new_tensor(SLOPE).square().sum()
    bent = bernstein(_SECOND, _VALUE), bernstein(_FIRST, _FIRST), bernstein(_VALUE, _SECOND)
    spread = torch.hypot((bent[0] - bent[2]) / 2, bent[1])
    curvature = ((bent[0] + bent[2]) / 2).abs().add(spread).amax(2)
    height = 1 + KAPPA * (bernstein(_VALUE, _VALUE).abs().amax(2) + _reach())
    steepest = KAPPA * gradient.square().sum(-1).amax(2)
    slack = float(rounding(1.0, 200))
    mu = KAPPA * torch.minimum(least.square(), far) * (1 - slack)
    return Constants(
        mu, (steepest + height * curvature).amax().clamp(min=KAPPA * far) * (1 + slack)
    )


def _reach() -> float:
    """Largest |SLOPE·(x − START)| over the cells."""
    size = len(TABLE) + 2 * RINGS
    return sum(abs(s) * max(at, size - at) for s, at in zip(SLOPE, START, strict=True))


def value(x: Tensor) -> Tensor:
    """f at points (..., 2), in units where x/√κ counts grid cells from `START`."""
    return _root(x)[0].square() / 2


def gradient(x: Tensor) -> Tensor:
    """∇f: (..., 2)."""
    root, slope = _root(x)
    return root[..., None] * slope


@cache
def step() -> tuple[Tensor, Tensor]:
    """The gap before and after one step of length `STEP`/L from `START`, scalars."""
    start = torch.zeros(2, dtype=torch.float64)
    after = start - STEP / constants().smoothness * gradient(start)
    return value(start), value(after)


def _root(x: Tensor) -> tuple[Tensor, Tensor]:
    """r and ∇r at (..., 2)."""
    offset = x / KAPPA**0.5
    place = offset + offset.new_tensor(START)
    cell = (place + 0.5).floor().clamp(1, len(coefficients()) - 2)
    s = place - cell + 0.5
    inside = ((s >= 0) & (s <= 1)).all(-1)
    weight = torch.stack([(1 - s) ** 2 / 2, 0.5 + s - s**2, s**2 / 2], -1)  # (..., 2, 3)
    slope = torch.stack([s - 1, 1 - 2 * s, s], -1)
    index = cell.long()[..., None] + torch.tensor([-1, 0, 1])
    own = coefficients()[index[..., 0, :, None], index[..., 1, None, :]]
    pairs = ((weight, weight), (slope, weight), (weight, slope))
    found = [
        torch.einsum("...i,...ij,...j->...", along[..., 0, :], own, across[..., 1, :])
        for along, across in pairs
    ]
    height, right, up = (torch.where(inside, part, 0.0) for part in found)
    straight = offset.new_tensor(SLOPE)
    root = 1 + KAPPA * (height + (offset * straight).sum(-1))
    return root, KAPPA**0.5 * (torch.stack([right, up], -1) + straight)
