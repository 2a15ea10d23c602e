"""The bent valley is PL and smooth as certified, and a step gains less there than on quadratics."""

import pytest
import torch
from torch import Tensor

from covlaw.theory.dynamics.pl_rates import improved_rate
from covlaw.theory.statements.convergence import _bent_valley as bent_valley
from covlaw.theory.statements.convergence import (
    gradient_steps_contract_under_smoothness_and_pl as t41,
)

GRID = bent_valley.KAPPA**0.5
"""A cell's width."""


@pytest.fixture(scope="module")
def points() -> Tensor:
    """In and around the bent part."""
    generator = torch.Generator().manual_seed(0)
    return (30 * torch.rand(100_000, 2, dtype=torch.float64, generator=generator) - 13) * GRID


def test_its_gradient_is_autograds(points: Tensor) -> None:
    x = points[:2000].clone().requires_grad_()
    found = torch.autograd.grad(bent_valley.value(x).sum(), x)[0]
    assert float((found - bent_valley.gradient(points[:2000])).abs().max()) < 1e-12


def test_the_certified_constants_hold_and_are_nearly_attained(points: Tensor) -> None:
    """|∇f|² ≥ 2μf, and gradients 1/100 of a cell apart differ by at most L times that."""
    mu, smoothness = bent_valley.constants()
    gradient, value = bent_valley.gradient(points), bent_valley.value(points)
    steepness = (gradient.square().sum(-1) / (2 * mu * value)).min()
    assert 1 <= float(steepness) < 1.01
    generator = torch.Generator().manual_seed(1)
    near = points + 0.01 * GRID * torch.randn(
        points.shape, dtype=torch.float64, generator=generator
    )
    change = (bent_valley.gradient(near) - gradient).norm(dim=-1) / (near - points).norm(dim=-1)
    assert 0.95 < float(change.max() / smoothness) <= 1


def test_it_is_continuous_with_its_gradient_across_cells() -> None:
    edges = torch.arange(-6.0, 12.0, dtype=torch.float64) + 0.5 - 1e-9
    left = torch.cartesian_prod(edges, edges + 0.3) * GRID
    right = left + torch.tensor([2e-9, 0.0]).double() * GRID
    for read in (bent_valley.value, bent_valley.gradient):
        assert float((read(left) - read(right)).abs().max()) < 1e-9


def test_its_least_value_is_0_and_attained() -> None:
    slope = torch.tensor(bent_valley.SLOPE, dtype=torch.float64)
    at = -slope / slope.square().sum() / bent_valley.KAPPA * GRID  # far out, where r = 1 + κ·φ = 0
    assert float(bent_valley.value(at)) < 1e-25


def test_a_step_gains_less_than_on_any_quadratic_and_as_much_as_proved() -> None:
    (mu, smoothness), (before, after) = bent_valley.constants(), bent_valley.step()
    length = bent_valley.STEP / smoothness
    kept, quadratic = after / before, t41._quadratic_rate(mu, smoothness, length)
    gained = (1 - kept.sqrt()) / (1 - quadratic.sqrt())
    assert 0.95 < float(gained) < 0.96
    assert kept < improved_rate(mu, smoothness, length)
