"""T48: quoted examples, the stationary trap, and mutations."""

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.statements import check
from covlaw.theory.statements.convergence import (
    interference_is_sandwiched_by_the_pull_of_the_others as t48,
)
from covlaw.theory.statements.convergence._interference_bounds import (
    Sacrifice,
    interference,
    regression_bound,
    sacrifice_bounds,
)
from covlaw.theory.statements.convergence._tangled_problems import draw_tangled


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("rung", ["theory", "bandit", "tabular"])
@pytest.mark.parametrize("seed", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_holds_and_its_control_is_refuted(rung: str, seed: int) -> None:
    verdict = check("T48", rung, seed, instances=12 if rung != "theory" else None)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def test_interference_of_three() -> None:
    gradients = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]], dtype=torch.float64)
    pull = interference(vector(1, 2, 3), gradients)
    assert pull.tolist() == [[-3, 8], [-2, 6], [1, 2]]


def test_sandwich_of_two_bowls() -> None:
    """J_1 = −x², J_2 = −2(x − 1)², λ = (1, 1): θ* = 2/3, gaps 4/9 and 2/9; μ = L, so both ends."""
    at = 2 / 3
    gradients = torch.tensor([[-2 * at], [-4 * (at - 1)]], dtype=torch.float64)
    constants = vector(2, 4)
    bounds = sacrifice_bounds(vector(1, 1), gradients, constants, constants)
    torch.testing.assert_close(bounds.least, vector(4 / 9, 2 / 9))
    torch.testing.assert_close(bounds.most, bounds.least)


def test_two_arm_conflict_is_nearly_tight() -> None:
    """λ = (.49, .51), π_0 = (.9, .1): J_1 falls by .9, bound .937."""
    headroom = vector(0.1, 0.9)
    bound = regression_bound(vector(0.49, 0.51), headroom)
    assert round(bound[0].item(), 3) == 0.937


def test_the_stationary_trap_as_quoted() -> None:
    sides = t48.stationary_sides(None, None)
    assert round(sides.measured.item(), 3) == 7.135
    assert round(sides.predicted.item(), 3) == 7.110


def test_a_weight_of_zero_is_refused() -> None:
    zero = vector(0, 1)
    with pytest.raises(CovlawError, match="weight 0"):
        regression_bound(zero, zero)
    with pytest.raises(CovlawError, match="weight 0"):
        sacrifice_bounds(zero, torch.ones(2, 1, dtype=torch.float64), zero + 1, zero + 1)


def test_ascent_never_lowers_the_weighted_sum_and_polishing_finds_stationary_points() -> None:
    batch = next(draw_tangled(np.random.default_rng(0), 60))
    reached = batch.ascend(batch.start)
    before, after = ((batch.weights * batch.losses(x)).sum(1) for x in (batch.start, reached))
    assert bool((after <= before * (1 + 1e-13)).all())
    residual = batch.total_gradient(batch.polish(reached)).norm(dim=1)
    assert float(residual.quantile(0.5)) < 1e-12


def test_total_curvature_is_the_derivative_of_the_gradient() -> None:
    batch = next(draw_tangled(np.random.default_rng(1), 5))
    theta = batch.start.clone().requires_grad_()
    gradient = batch.total_gradient(theta)
    rows = [
        torch.autograd.grad(gradient[:, d].sum(), theta, retain_graph=True)[0]
        for d in range(theta.shape[1])
    ]
    torch.testing.assert_close(-torch.stack(rows, 1), batch.total_curvature(batch.start))
    values = -(batch.weights * batch.losses(theta)).sum()
    torch.testing.assert_close(torch.autograd.grad(values, theta)[0], gradient.detach())


@pytest.mark.parametrize(("least", "most"), [(1.01, 1.0), (1.0, 0.99)])
def test_t48_refutes_a_narrower_sandwich(
    least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def narrower(*arguments: Tensor) -> Sacrifice:
        found = sacrifice_bounds(*arguments)
        return Sacrifice(least * found.least, most * found.most)

    monkeypatch.setattr(t48, "sacrifice_bounds", narrower)
    assert check("T48", "theory", 0).status == "refuted"


def test_t48_refutes_a_sandwich_of_the_own_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(weights: Tensor, gradients: Tensor, mu: Tensor, smoothness: Tensor) -> Sacrifice:
        unweighted = torch.ones_like(weights)
        return sacrifice_bounds(unweighted, gradients, mu, smoothness)

    monkeypatch.setattr(t48, "sacrifice_bounds", own)
    assert check("T48", "theory", 0).status == "refuted"


@pytest.mark.parametrize("rung", ["theory", "bandit"])
def test_t48_refutes_a_smaller_regression_bound(rung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t48, "regression_bound", lambda w, h: 0.9 * regression_bound(w, h))
    verdict = check("T48", rung, 0, instances=None if rung == "theory" else 20)
    assert verdict.status == "refuted"
