"""x² + 3 sin² x: smooth and PL, yet not convex; and what is certain about it (T41, T49)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BUMP = 3.0
SMOOTHNESS = 8.0
"""|f''| = |2 + 6 cos 2x| ≤ 8."""
PL = 0.175
"""f'² ≥ 2·PL·f; certified by `pl_margin`. The best constant is .17553, at x = ±2.2017."""

SHIFT, WEIGHTS = 3.0, (0.48, 0.52)
SPURIOUS, BEST = (0.3835, 0.3836), 2.654
"""Of total(x): a bracket of its spurious minimiser, and a point near its best."""

Interval = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lower and upper ends of one interval a cell."""


def value(x: Tensor, bump: Tensor | float = BUMP) -> Tensor:
    """x² + bump·sin² x, elementwise."""
    return x.square() + bump * x.sin().square()


def slope(x: Tensor, bump: Tensor | float = BUMP) -> Tensor:
    """2x + bump·sin 2x, elementwise."""
    return 2 * x + bump * (2 * x).sin()


def curvature(x: Tensor, bump: Tensor | float = BUMP) -> Tensor:
    """2 + 2·bump·cos 2x, elementwise."""
    return 2 + 2 * bump * (2 * x).cos()


def pl_margin(constant: float = PL, cells: int = 2**16) -> tuple[Tensor, Tensor]:
    """Enclose both sides of 2c·f ≤ f'² for every x > 0 (f is even): (cells + 2,) each.

    Near 0, on (0, 1/4]: f'' ≥ 2 + 6 cos(1/2) = m there, hence f' ≥ m·x, and f ≤ 4x². On
    [1/4, 8]: cell by cell, f ≤ f(centre) + |f'|max·radius, |f'| ≥ |f'(centre)| − 8·radius. Beyond
    8: f' ≥ 2x − 3 and f ≤ x² + 3, and (2x − 3)² − 2c(x² + 3) increases. The rounding of each
    enclosure is below 1e-13 of the side, far below the margin certified.

    Returns:
        Upper ends of 2c·f and lower ends of f'², each pair in units of its own (x² divided out
        in the first).
    """
    edges = np.linspace(0.25, 8.0, cells + 1)
    centre, radius = torch.as_tensor((edges[1:] + edges[:-1]) / 2), float(np.diff(edges).max() / 2)
    steepest = slope(centre).abs() + SMOOTHNESS * radius
    flattest = (slope(centre).abs() - SMOOTHNESS * radius).clamp(min=0.0)
    near = 2 + 2 * BUMP * np.cos(0.5)
    heights = value(centre) + steepest * radius
    upper = 2 * constant * torch.cat([heights, heights.new_tensor([4.0, 8.0**2 + BUMP])])
    lower = torch.cat([flattest, flattest.new_tensor([near, 2 * 8.0 - BUMP])]).square()
    return upper, lower


def total(x: Tensor, weights: tuple[float, float] = WEIGHTS) -> Tensor:
    """g(x) = w_1·f(x) + w_2·f(x − 3), elementwise."""
    return weights[0] * value(x) + weights[1] * value(x - SHIFT)


def total_slope(x: Tensor, weights: tuple[float, float] = WEIGHTS) -> Tensor:
    """g'(x)."""
    return weights[0] * slope(x) + weights[1] * slope(x - SHIFT)


def total_curvature(x: Tensor, weights: tuple[float, float] = WEIGHTS) -> Tensor:
    """g''(x)."""
    return weights[0] * curvature(x) + weights[1] * curvature(x - SHIFT)
