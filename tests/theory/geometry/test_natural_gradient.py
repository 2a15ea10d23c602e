"""Natural gradients: dense, and by damped conjugate gradients, against a dense solve."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.geometry.natural_gradient import (
    damped_natural_gradient,
    dense_damped_natural_gradient,
    dense_natural_gradient,
)
from covlaw.theory.statements._support.random_instances import random_score, random_world
from covlaw.theory.worlds.world import World


def worlds(count: int) -> Iterator[tuple[World, Tensor]]:
    rng = np.random.default_rng(5)
    for _ in range(count):
        world = random_world(rng)
        yield world, random_score(world, rng)


def fisher(world: World) -> np.ndarray:
    scores = world.scores().numpy()
    return scores.T @ (world.row_weight().numpy()[:, None] * scores)


def gradient_of(world: World, score: Tensor) -> Tensor:
    """∇ E s by autograd of the plain expectation, without the score function."""
    theta = world.theta.clone().requires_grad_()
    weight = world.row_weight(world.log_prob(theta).exp())
    return torch.autograd.grad((weight * score).sum(), theta)[0]


def test_dense_step_solves_the_fisher_system() -> None:
    """F u = g with u in F's range: u = F⁺g, checked by residual and by minimum norm."""
    for world, score in worlds(30):
        step = dense_natural_gradient(world, score).numpy()
        gradient, matrix = gradient_of(world, score).numpy(), fisher(world)
        values, vectors = np.linalg.eigh(matrix)
        # singular values of √F below eps·max(N, D)·σ_max count as 0; F's are their squares
        floor = (np.finfo(float).eps * max(world.scores().shape)) ** 2 * values.max()
        kept = values > max(floor, 0)
        condition = (values.max() / values[kept].min()) ** 0.5
        size = np.abs(matrix).sum() * np.linalg.norm(step) + np.linalg.norm(gradient)
        allowed = float(rounding(condition * size, 64 * matrix.shape[0] + world.depth))
        assert np.linalg.norm(matrix @ step - gradient) <= allowed
        null = vectors[:, values <= values.max() * np.finfo(float).eps * matrix.shape[0]]
        assert np.linalg.norm(null.T @ step) <= float(
            rounding(condition * np.linalg.norm(step), 64 * matrix.shape[0])
        )


def test_full_softmax_step_is_the_tilt() -> None:
    """T12: with one logit a completion, ⟨∇log π, F⁺g_s⟩ is the centred score itself."""
    for world, score in worlds(60):
        if world.tabular:
            prompt, mass = world.prompt, world.row_weight()
            seen = world.directional(dense_natural_gradient(world, score))
            for x in prompt.unique():
                rows = prompt == x
                mean = (mass[rows] @ score[rows]) / mass[rows].sum()
                condition = float(score[rows].abs().max() / mass[rows].min().sqrt())
                allowed = rounding(condition, 64 * world.depth)
                assert ((seen[rows] - (score[rows] - mean)).abs() <= allowed).all()


@pytest.mark.parametrize("damping", [1e-3, 0.1])
def test_damped_step_solves_the_damped_system(damping: float) -> None:
    for world, score in worlds(10):
        gradient = gradient_of(world, score)
        seen = damped_natural_gradient(world, gradient, damping, tolerance=1e-10)
        matrix = fisher(world) + damping * np.eye(world.theta.shape[0])
        expected = np.linalg.solve(matrix, gradient.numpy())
        size = float(gradient.norm())
        # F + δI ≥ δI: a residual moves the solution by at most residual/δ
        condition = np.linalg.cond(matrix)
        allowed = seen.residual * size / damping + float(
            rounding(condition * np.linalg.norm(expected), 64 * len(matrix) + world.depth)
        )
        assert np.linalg.norm(seen.direction.numpy() - expected) <= allowed
        residual = np.linalg.norm(matrix @ seen.direction.numpy() - gradient.numpy())
        assert abs(residual - seen.residual * size) <= float(
            rounding(size * condition, 64 * len(matrix) + world.depth)
        )


def test_an_unfinished_solve_says_so() -> None:
    [(world, score)] = [w for w in worlds(30) if w[0].theta.shape[0] > 4][:1]
    gradient = gradient_of(world, score)
    rushed = damped_natural_gradient(world, gradient, 1e-6, max_iterations=1)
    assert rushed.iterations == 1
    assert rushed.residual > damped_natural_gradient(world, gradient, 1e-6).residual


def test_no_gradient_no_step() -> None:
    world, _ = next(worlds(1))
    seen = damped_natural_gradient(world, torch.zeros_like(world.theta))
    assert torch.equal(seen.direction, torch.zeros_like(world.theta))
    assert seen.residual == 0


def test_undamped_cg_is_refused() -> None:
    world, score = next(worlds(1))
    with pytest.raises(
        CovlawError, match="damping is 0: CG on the Fisher matrix needs a value > 0"
    ):
        damped_natural_gradient(world, gradient_of(world, score), 0)


@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_dense_damped_step_solves_the_damped_system(damping: float) -> None:
    """(F + δI)u = g; a residual is rounding of the terms over δ, the smallest eigenvalue."""
    for world, score in worlds(30):
        gradient, matrix = gradient_of(world, score), fisher(world)
        step = dense_damped_natural_gradient(world, gradient, damping).numpy()
        residual = (matrix + damping * np.eye(len(step))) @ step - gradient.numpy()
        size = float(gradient.norm()) * (1 + np.linalg.norm(matrix) / damping) ** 2
        assert np.linalg.norm(residual) <= float(rounding(size, 64 * matrix.shape[0]))


def test_undamped_dense_solve_is_refused() -> None:
    world, score = next(worlds(1))
    with pytest.raises(CovlawError, match="needs a value > 0"):
        dense_damped_natural_gradient(world, gradient_of(world, score), 0)
