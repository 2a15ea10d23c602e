"""The referee of T1 and T2: complex step, plain moments, and a quadrature with a proved error."""

import numpy as np
import pytest
import torch

from covlaw.theory.statements._support.enumeration import (
    enumerated_covariance,
    tilted_change,
    tilted_derivative,
    tilted_value,
)
from covlaw.theory.statements._support.random_instances import random_score, random_world
from covlaw.theory.statements.tilts import _tilt_path as tilt_path


@pytest.mark.parametrize("seed", range(5))
def test_the_complex_step_agrees_with_a_central_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    score, h = random_score(world, rng), 1e-6
    low, high = (tilted_value(world, world.rewards, score, 0.7 + d) for d in (-h, h))
    derivative = tilted_derivative(world, world.rewards, score, 0.7).numpy()
    size = float(world.rewards.abs().max()) * (1 + float(score.abs().max())) ** 3
    np.testing.assert_allclose((high - low) / (2 * h), derivative, atol=1e-9 * size)


@pytest.mark.parametrize("seed", range(5))
def test_the_referee_agrees_with_itself_at_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    score = random_score(world, rng)
    assert float(tilted_change(world, world.rewards, score, 0.0).abs().max()) == 0
    torch.testing.assert_close(
        tilted_derivative(world, world.rewards, score, 0.0),
        enumerated_covariance(world, world.rewards, score),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize("eta", [-2.0, 0.3, 1.9])
def test_the_quadrature_error_bound_holds_and_is_below_rounding(eta: float) -> None:
    rng = np.random.default_rng(8)
    world = random_world(rng)
    score = random_score(world, rng)
    integral = tilt_path.covariance_along_tilt(world, score, eta)
    change = tilted_change(world, world.rewards, score, eta)
    assert bool(((integral.value - change).abs() <= integral.error + 1e-14).all())
    assert float(integral.error.max()) < 1e-12


def test_coarser_quadrature_errs_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    world = random_world(rng)
    score = random_score(world, rng)
    change = tilted_change(world, world.rewards, score, 3.0)
    ratios = []
    for nodes in (2, 3, 4, 6):
        monkeypatch.setattr(tilt_path, "_NODES", nodes)
        integral = tilt_path.covariance_along_tilt(world, score, 3.0)
        ratios.append(float(((integral.value - change).abs() / integral.error).max()))
    assert 1e-9 < max(ratios) <= 1
