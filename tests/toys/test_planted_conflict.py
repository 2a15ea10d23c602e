"""The planted conflict is there, exactly, in every prompt."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.toys.planted_conflict import planted_rewards

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
"""Prompts, objectives, and completions beyond objectives."""


def mass_of(seed: int, prompts: int, completions: int) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.normal(size=(prompts, completions))).softmax(1)


def matrices(rewards: Tensor, mass: Tensor) -> Tensor:
    """Covariance matrix of the rewards within each prompt: (P, M, M)."""
    by_prompt = rewards.unflatten(0, tuple(mass.shape))
    none = torch.zeros(mass.shape[1], dtype=torch.int64)
    pairs = zip(by_prompt, mass, strict=True)
    return torch.stack([covariance_matrix(r, none, m / m.sum()) for r, m in pairs])


@given(SIZES, st.floats(0, 1), st.integers(0, 2**32))
def test_every_prompt_has_the_correlations_asked_for(
    sizes: tuple[int, int, int], conflict: float, seed: int
) -> None:
    prompts, objectives, more = sizes
    conflict = conflict if objectives > 1 else 0.0
    mass = mass_of(seed, prompts, objectives + more)
    rewards = planted_rewards(np.random.default_rng(seed), mass, objectives, conflict)
    rise = conflict / max(objectives - 1, 1)
    expected = (1 + rise) * torch.eye(objectives, dtype=torch.float64) - rise
    # Rewards of size 1/√π, orthonormalised by a QR of K·M² steps.
    largest = float(rewards.abs().max()) + 1
    error = rounding(largest**2, 16 * mass.shape[1] * objectives**2 + 64)
    assert ((matrices(rewards, mass) - expected).abs() <= error).all()


def test_full_conflict_adds_up_to_a_constant() -> None:
    mass = mass_of(3, 3, 6)
    rewards = planted_rewards(np.random.default_rng(0), mass, 3, 1.0)
    total = rewards.sum(1).unflatten(0, (3, 6))
    spread = total.amax(1) - total.amin(1)
    assert (spread <= rounding(rewards.abs().max() * 3, 512)).all()


def test_less_than_full_conflict_leaves_a_direction_that_raises_all() -> None:
    mass = mass_of(4, 2, 5)
    rewards = planted_rewards(np.random.default_rng(1), mass, 3, 0.9)
    assert (torch.linalg.eigvalsh(matrices(rewards, mass)) > 0.09).all()  # 1 − 0.9, and 1.45 twice


@pytest.mark.parametrize(
    ("objectives", "conflict", "words"),
    [
        (3, 1.1, "conflict is 1.1"),
        (3, float("nan"), "conflict"),
        (1, 0.5, "needs two"),
        (6, 0.5, "more completions"),
    ],
)
def test_refuses_what_cannot_be_planted(objectives: int, conflict: float, words: str) -> None:
    with pytest.raises(CovlawError, match=words):
        planted_rewards(np.random.default_rng(0), mass_of(0, 2, 6), objectives, conflict)
