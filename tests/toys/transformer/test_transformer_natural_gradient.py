"""T12 on a causal LM: dense F⁺ where the scores span the signal, and where they do not; CG."""

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.geometry.natural_gradient import (
    damped_natural_gradient,
    dense_natural_gradient,
    dense_natural_step,
)
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.worlds.world import World
from covlaw.toys.transformer.float64_model import ModelShape
from covlaw.toys.transformer.worlds import transformer_world

SMALL = ModelShape(4, layers=2)
SPANNING, BLIND = torch.tensor([[0, 1], [2, 1]]), torch.tensor([[1, 1]])
"""Prompts; after 1 1 a rotary model cannot tell 1 1, 1 1 1 and 1 1 1 1 apart."""


def world(prompts: Tensor, shape: ModelShape = SMALL, length: int = 4) -> World:
    return transformer_world(shape, length, prompts, seed=0).world


def signal(instance: World) -> Tensor:
    noise = np.random.default_rng(1).normal(size=len(instance.prompt))
    return torch.as_tensor(noise) + instance.rewards @ torch.tensor([1.0, 0.5, 0.2]).double()


def weighted_scores(instance: World) -> Tensor:
    return instance.row_weight().sqrt()[:, None] * instance.scores()


def gradients(instance: World) -> Tensor:
    """g_j of every objective: (M, D)."""
    weight = instance.row_weight()
    columns = [centred_score(instance, r) for r in instance.rewards.T]
    return torch.stack([instance.score_sum(weight * a) for a in columns])


def law(instance: World) -> Tensor:
    groups = instance.rollouts().groups
    return within_prompt_covariance(instance.rewards, signal(instance), *groups).estimate


def solver_error(instance: World, direction: Tensor) -> Tensor:
    """Least squares errs by γ·condition of the problem (Higham 2002, ch. 20), here on ⟨g_j, u⟩."""
    singular = torch.linalg.svdvals(weighted_scores(instance))
    positive = singular[singular > rounding(singular[0], len(instance.theta))]
    size = gradients(instance).norm(dim=1) * direction.norm()
    return rounding(size, int(len(instance.theta) * positive[0] / positive[-1]))


def test_dense_natural_gradient_follows_the_law_where_scores_span_the_signal() -> None:
    instance = world(SPANNING)
    assert torch.linalg.matrix_rank(weighted_scores(instance)) == len(instance.prompt) - 2
    advantage = centred_score(instance, signal(instance))
    gradient = instance.score_sum(instance.row_weight() * advantage)
    for direction in (
        dense_natural_gradient(instance, advantage),
        dense_natural_step(instance, gradient),
    ):
        reached = gradients(instance) @ direction
        assert bool(((reached - law(instance)).abs() < 1e-6).all())  # DESIGN: six decimals
        assert bool(((reached - law(instance)).abs() <= solver_error(instance, direction)).all())


def test_vanilla_gradient_is_refuted_by_the_same_comparison() -> None:
    instance = world(SPANNING)
    advantage = centred_score(instance, signal(instance))
    vanilla = gradients(instance) @ instance.score_sum(instance.row_weight() * advantage)
    assert bool(((vanilla - law(instance)).abs() > 1e-6).any())


def test_where_scores_do_not_span_the_signal_only_its_projection_counts() -> None:
    instance = world(BLIND)
    weighted = weighted_scores(instance).numpy()
    left, singular, _ = np.linalg.svd(weighted, full_matrices=False)
    span = left[:, singular > 1e-10 * singular[0]]
    assert span.shape[1] < len(instance.prompt) - 1
    root = instance.row_weight().sqrt()
    advantage = centred_score(instance, signal(instance))
    projected = torch.as_tensor(span @ (span.T @ (root * advantage).numpy()))
    rewards = torch.stack([centred_score(instance, r) for r in instance.rewards.T])
    expected = rewards @ (root * projected)
    direction = dense_natural_gradient(instance, advantage)
    reached = gradients(instance) @ direction
    assert bool(((reached - expected).abs() < 1e-6).all())
    assert bool(((reached - law(instance)).abs() > 1e-6).any())


def damped_referee(instance: World, scores: Tensor, gradient: Tensor, damping: float) -> Tensor:
    """(F + δI)⁻¹g by Cholesky, from all scores (N, D)."""
    fisher = scores.T @ (instance.row_weight()[:, None] * scores)
    factor = torch.linalg.cholesky(fisher + damping * torch.eye(len(gradient)).double())
    return torch.cholesky_solve(gradient[:, None], factor)[:, 0]


def check_damped(instance: World, scores: Tensor, damping: float) -> None:
    advantage = centred_score(instance, signal(instance))
    gradient = instance.score_sum(instance.row_weight() * advantage)
    found = damped_natural_gradient(instance, gradient, damping)
    referee = damped_referee(instance, scores, gradient, damping)
    size = gradients(instance).norm(dim=1) * gradient.norm() / damping
    allowed = size * found.residual + rounding(size, instance.depth * len(gradient))
    apart = gradients(instance) @ (found.direction - referee)
    assert found.residual <= 1e-8
    assert bool((apart.abs() <= allowed).all())
    biased = gradients(instance) @ referee
    assert bool(((biased - law(instance)).abs() > allowed).any())  # damping is not neutral


def test_damped_conjugate_gradients_agree_with_cholesky() -> None:
    small = world(SPANNING, ModelShape(4, hidden=4), length=3)
    check_damped(small, small.scores(), damping=1e-2)


@pytest.mark.slow
def test_damped_conjugate_gradients_on_the_large_world() -> None:
    large = world(SPANNING, ModelShape(8, hidden=4, heads=1), length=5)
    assert len(large.prompt) == 2 * 19_608
    basis = torch.eye(len(large.theta), dtype=torch.float64)
    scores = torch.stack([large.directional(e) for e in basis], 1)
    check_damped(large, scores, damping=1e-2)


def test_a_zero_gradient_has_a_zero_solution() -> None:
    instance = world(SPANNING, length=2)
    found = damped_natural_gradient(instance, torch.zeros_like(instance.theta))
    assert found.residual == 0
    assert not bool(found.direction.any())


@pytest.mark.parametrize("damping", [0.0, -1.0, float("nan")])
def test_damping_must_be_positive(damping: float) -> None:
    instance = world(SPANNING, length=2)
    with pytest.raises(CovlawError, match="needs a value > 0"):
        damped_natural_gradient(instance, instance.theta, damping)
