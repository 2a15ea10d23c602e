"""Nash bargaining: Gα = 1/α to rounding, on any scale; no bargain where a combination vanishes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.solvers.min_norm import min_norm_weights
from covlaw.theory.solvers.nash_bargaining import nash_bargain


def gramian(rng: np.random.Generator, count: int, spread: float = 0.0) -> Tensor:
    rows = rng.normal(size=(count, count + 2)) * 10 ** rng.uniform(-spread, spread, (count, 1))
    return torch.as_tensor(rows @ rows.T)


@pytest.mark.parametrize("spread", [0.0, 9.0])
@pytest.mark.parametrize("count", range(1, 9))
def test_every_gain_times_its_weight_is_the_same(count: int, spread: float) -> None:
    """α_j(Gα)_j = 1; with weights w = α/Σα the common value is 1/(Σα)² = w'Gw/M."""
    rng = np.random.default_rng(count)
    for _ in range(10):
        gram = gramian(rng, count, spread)
        found = nash_bargain(gram)
        share = found.weights * (gram @ found.weights)
        common = found.weights @ gram @ found.weights / count
        # sums of M terms that add up to at most (Σ_k w_k|g_k|)²
        size = (found.weights * gram.diagonal().sqrt()).sum().square()
        assert ((share - common).abs() <= rounding(size, 64 * count + 256)).all()
        assert (found.weights > 0).all()
        assert found.residual <= rounding(size / common, 64 * count + 256)


def test_orthogonal_gradients_weigh_by_the_inverse_norm() -> None:
    found = nash_bargain(torch.diag(torch.tensor([1.0, 4.0, 25.0], dtype=torch.float64)))
    expected = torch.tensor([10.0, 5, 2], dtype=torch.float64) / 17
    assert ((found.weights - expected).abs() <= rounding(1.0, 256)).all()


def test_no_direction_of_the_same_length_has_a_larger_product_of_gains() -> None:
    rng = np.random.default_rng(3)
    rows = torch.as_tensor(rng.normal(size=(4, 6)))
    direction = nash_bargain(rows @ rows.T).weights @ rows
    best = (rows @ (direction / direction.norm())).log().sum()
    for _ in range(500):
        other = direction + torch.as_tensor(rng.normal(size=6)) * direction.norm() * 0.3
        gains = rows @ (other / other.norm())
        if bool((gains > 0).all()):
            assert gains.log().sum() <= best + rounding(64.0, 1024)


def test_duplicated_gradients_share_one_weight() -> None:
    """They are two bargainers with one interest: it counts twice."""
    found = nash_bargain(torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 0, 1]]).double())
    expected = torch.tensor([2**-0.5, 1.0, 2**-0.5], dtype=torch.float64) / (1 + 2**0.5)
    assert ((found.weights - expected).abs() <= rounding(1.0, 256)).all()


@pytest.mark.parametrize("tilt", [1e-2, 1e-4, 1e-6, 1e-10])
def test_nearly_opposed_gradients_still_bargain(tilt: float) -> None:
    """C = [[1, −1+ε], [−1+ε, 1]]: α = (1, 1)/√ε."""
    gram = torch.tensor([[1.0, tilt - 1], [tilt - 1, 1.0]], dtype=torch.float64)
    found = nash_bargain(gram)
    assert found.residual <= rounding(4 / tilt, 256)
    assert ((found.weights - 0.5).abs() <= rounding(4 / tilt, 256)).all()


def test_opposed_gradients_have_no_bargain_and_stop_the_step() -> None:
    rows = torch.tensor([[1.0, 2], [-3, -6], [0, 1]], dtype=torch.float64)
    gram = rows @ rows.T
    found = nash_bargain(gram)
    assert torch.isinf(found.residual)
    assert torch.equal(found.weights, min_norm_weights(gram[None])[0])
    assert (found.weights @ rows).abs().max() <= rounding(6.0, 64)


def test_a_vanishing_gradient_gets_no_weight() -> None:
    gram = torch.diag(torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64))
    expected = torch.tensor([0.0, 2, 1], dtype=torch.float64) / 3
    assert ((nash_bargain(gram).weights - expected).abs() <= rounding(1.0, 256)).all()
    assert nash_bargain(torch.zeros(4, 4).double()).weights.tolist() == [0.25] * 4
    opposed = torch.tensor([[0.0, 0, 0], [0, 1, -1], [0, -1, 1]], dtype=torch.float64)
    assert nash_bargain(opposed).weights.tolist() == [0.0, 0.5, 0.5]


def test_what_is_no_gramian_is_refused() -> None:
    with pytest.raises(CovlawError, match="not finite"):
        nash_bargain(torch.full((2, 2), torch.nan).double())
    with pytest.raises(CovlawError, match="not symmetric positive semidefinite"):
        nash_bargain(torch.tensor([[1.0, 2], [2, 1]]).double())
    with pytest.raises(CovlawError, match="square"):
        nash_bargain(torch.ones(2, 3).double())
