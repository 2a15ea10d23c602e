"""Share of opposed signs in a family of rewards: by quadrature, by counting, and its limits."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from covlaw.theory.geometry.gradient_angle import disagreement_of_family


def by_quadrature(stretch: float) -> float:
    """C = I, G = diag(1, stretch): the mean angle by which G turns (cos θ, sin θ)."""

    def turned(theta: float) -> float:
        return abs(np.arctan2(stretch * np.sin(theta), np.cos(theta)) - theta)

    return float(quad(turned, 0, np.pi / 2)[0] / (np.pi / 2) / np.pi)


@pytest.mark.parametrize("stretch", [1.0, 3.0, 50.0, 1e4])
def test_two_modes_by_quadrature(stretch: float) -> None:
    eye = torch.eye(2, dtype=torch.float64)
    found = float(disagreement_of_family(eye, torch.diag(eye.new_tensor([1.0, stretch])), 20_000))
    # an angle of at most π/2 over π: a standard error of at most 1/(4·√20,000)
    assert abs(found - by_quadrature(stretch)) <= 5 / (4 * 20_000**0.5) + 1e-12
    pooled = np.arccos((1 + stretch) / np.sqrt(2 * (1 + stretch**2))) / np.pi
    if stretch == 50:  # the nearest plausible mistake: one angle of the two matrices
        assert abs(pooled - by_quadrature(stretch)) > 5 / (4 * 20_000**0.5)


def test_counting_signs_of_a_random_family() -> None:
    rng = np.random.default_rng(0)
    covariance, gramian = (x.T @ x for x in rng.normal(size=(2, 5, 4)))
    r, s = rng.normal(size=(2, 40_000, 4))
    left, right = (np.einsum("nk,kl,nl->n", r, m, s) for m in (covariance, gramian))
    share = float(disagreement_of_family(torch.as_tensor(covariance), torch.as_tensor(gramian)))
    error = np.sqrt(share * (1 - share) / 40_000) + 1 / (2 * np.sqrt(4096))
    assert abs(share - float((left * right < 0).mean())) <= 4 * error
    assert share > 0.05


def test_gradients_that_follow_the_law_never_oppose_it() -> None:
    rng = np.random.default_rng(1)
    root = torch.as_tensor(rng.normal(size=(4, 4)))
    covariance = root.T @ root
    assert float(disagreement_of_family(covariance, 7 * covariance)) <= 1e-7
    one = torch.ones((1, 1), dtype=torch.float64)
    assert float(disagreement_of_family(one, 3 * one)) == 0
