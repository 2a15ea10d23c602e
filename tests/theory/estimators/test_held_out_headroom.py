"""Headroom read on prompts that did not choose the bundle."""

import math

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.held_out_headroom import held_out_headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances

TARGETS = torch.ones(3, dtype=torch.float64)
COVARIANCE = np.array([[1, -0.6, -0.3], [-0.6, 1, -0.3], [-0.3, -0.3, 1]])


def sample(rng: np.random.Generator, prompts: int, completions: int) -> PromptCovariances:
    rewards = rng.multivariate_normal(np.zeros(3), COVARIANCE, prompts * completions)
    prompt = torch.arange(prompts).repeat_interleave(completions)
    return prompt_covariances(torch.as_tensor(rewards), prompt)


@pytest.mark.slow
def test_it_takes_off_the_optimism_of_the_minimum() -> None:
    rng = np.random.default_rng(0)
    weights = np.linalg.solve(COVARIANCE, np.ones(3))
    truth = (1 / weights.sum()) ** 0.5  # the least std of a bundle that sums to 1
    plain, apart, errors = [], [], []
    for _ in range(100):
        found = sample(rng, 8, 3)
        plain.append(float(headroom(found, TARGETS).factor))
        read = held_out_headroom(found, TARGETS)
        apart.append(float(read.factor))
        errors.append(float(read.standard_error))
    low, high = (4 * np.std(x) / 100**0.5 for x in (plain, apart))
    # a normal std of 3 is √π/2 of the true one on average, and the bundle is not the best
    assert np.mean(plain) + low < math.sqrt(math.pi) / 2 * truth < np.mean(apart) + high
    assert 0.6 < np.mean(errors) / np.std(apart) < 1.6


def test_prompts_that_agree_give_the_headroom_itself() -> None:
    one = torch.as_tensor(COVARIANCE)[None].repeat(4, 1, 1)
    same = PromptCovariances(
        one, torch.full((4,), 0.25).double(), torch.zeros(4, 3), torch.full((4, 3), 1e-15).double()
    )
    found = held_out_headroom(same, TARGETS)
    assert float(found.factor) == pytest.approx(float(headroom(same, TARGETS).factor), rel=1e-9)
    assert float(found.standard_error) < 1e-12
    with pytest.raises(CovlawError, match="prompts"):
        held_out_headroom(same.rows(torch.arange(0)), TARGETS)
