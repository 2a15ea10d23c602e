"""A batch's own covariance, by listing every batch."""

from itertools import product

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.same_sample import same_sample, softmax_kernel

ARMS = 4


def expected_by_listing(
    rewards: np.ndarray, score: np.ndarray, features: np.ndarray, policy: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean own and population covariance of the linear field, over all n^K batches."""
    centred = features - policy @ features
    own, truth = np.zeros(rewards.shape[1]), np.zeros(rewards.shape[1])
    for batch in map(list, product(range(len(policy)), repeat=size)):
        s = score[batch]
        advantage = np.array([s[k] - np.delete(s, k).mean() for k in range(size)])
        field = centred @ (advantage @ centred[batch]) / size
        mass = np.prod(policy[batch])
        for j, r in enumerate(rewards.T):
            own[j] += mass * np.cov(r[batch], field[batch])[0, 1]
            truth[j] += mass * (policy @ (r * field) - (policy @ r) * (policy @ field))
    return own, truth


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("tabular", [True, False])
def test_the_bias_is_that_of_all_batches(size: int, tabular: bool) -> None:
    rng = np.random.default_rng([size, tabular])
    policy, rewards = rng.dirichlet(np.ones(ARMS)), rng.normal(size=(ARMS, 2))
    score, features = rng.normal(size=ARMS), np.eye(ARMS)
    if not tabular:
        features = rng.normal(size=(ARMS, 2))
    centred = features - policy @ features
    kernel = torch.as_tensor(centred @ centred.T)
    if tabular:
        difference = kernel - softmax_kernel(torch.as_tensor(policy))
        assert bool((difference.abs() <= rounding(4.0, 4 * ARMS)).all())
    own, truth = expected_by_listing(rewards, score, features, policy, size)
    found = same_sample(
        *map(torch.as_tensor, (rewards, score)), kernel, torch.as_tensor(policy), size
    )
    magnitude = 16 * np.abs(rewards).max() * np.abs(score).max() * float(kernel.abs().max())
    allowed = float(rounding(magnitude, 8 * ARMS**size))
    assert np.abs(found.change.numpy() - truth).max() <= allowed
    assert np.abs((found.change + found.bias).numpy() - own).max() <= allowed


def test_prompts_are_treated_alike() -> None:
    rng = np.random.default_rng(0)
    policy = torch.as_tensor(rng.dirichlet(np.ones(ARMS), size=3))
    rewards, score = (torch.as_tensor(rng.normal(size=s)) for s in ((3, ARMS, 2), (3, ARMS)))
    kernel = softmax_kernel(policy)
    together = same_sample(rewards, score, kernel, policy, 8)
    for x in range(3):
        alone = same_sample(rewards[x], score[x], kernel[x], policy[x], 8)
        size = float(rewards[x].abs().max() * score[x].abs().max())
        for one, several in zip(alone, together, strict=True):
            assert bool(((several[x] - one).abs() <= rounding(8 * size, 8 * ARMS)).all())


def test_the_bias_falls_as_one_over_k() -> None:
    rng = np.random.default_rng(1)
    policy = torch.as_tensor(rng.dirichlet(np.ones(ARMS)))
    rewards, score = (
        torch.as_tensor(rng.normal(size=(ARMS, 2))),
        torch.as_tensor(rng.normal(size=ARMS)),
    )
    kernel = softmax_kernel(policy)
    far, farther = (same_sample(rewards, score, kernel, policy, k).bias * k for k in (2**20, 2**30))
    r, s = (x - policy @ x for x in (rewards, score))
    leading = (policy * s * kernel.diagonal()) @ r - (policy * s) @ kernel @ (policy[:, None] * r)
    assert torch.all((farther - leading).abs() < (far - leading).abs() * 2**-8)
