"""Covariances equal their definition, computed row by row in exact rationals."""

import pytest
import torch
from hypothesis import given
from referee import covariances, mean_covariance, tolerance
from strategies import Bandit, bandits

from covlaw.theory.estimators.covariance import (
    Covariance,
    covariance_matrix,
    within_prompt_covariance,
)


def assert_equals_enumeration(bandit: Bandit) -> None:
    seen = within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups)
    for j, column in enumerate(bandit.rewards.T):
        expected = mean_covariance(column, bandit.score, *bandit.groups)
        allowed = tolerance(column, bandit.score, bandit.prompt, bandit.prompt_mass)
        assert abs(seen.estimate[j].item() - expected) <= allowed
        assert_each_prompt(bandit, seen, j)


def assert_each_prompt(bandit: Bandit, seen: Covariance, j: int) -> None:
    expected = covariances(bandit.rewards[:, j], bandit.score, bandit.prompt, bandit.mass)
    for k, (x, value) in enumerate(zip(seen.prompts.tolist(), expected, strict=True)):
        rows = bandit.prompt == x
        allowed = tolerance(bandit.rewards[rows, j], bandit.score[rows], bandit.prompt[rows])
        assert abs(seen.per_prompt[k, j].item() - value) <= allowed


@given(bandits(exact=True))
def test_enumerated_completions_give_the_population_covariance(bandit: Bandit) -> None:
    assert_equals_enumeration(bandit)


@given(bandits(exact=False))
def test_samples_give_the_unbiased_covariance(bandit: Bandit) -> None:
    assert_equals_enumeration(bandit)


@given(bandits(exact=True) | bandits(exact=False))
def test_matrix_holds_the_covariance_of_every_pair(bandit: Bandit) -> None:
    matrix = covariance_matrix(bandit.rewards, *bandit.groups)
    assert torch.equal(matrix, matrix.T)
    for j, left in enumerate(bandit.rewards.T):
        for k, right in enumerate(bandit.rewards.T):
            expected = mean_covariance(left, right, *bandit.groups)
            allowed = tolerance(left, right, bandit.prompt, bandit.prompt_mass)
            assert abs(matrix[j, k].item() - expected) <= allowed


@given(bandits(exact=True))
def test_enumerated_covariances_have_no_standard_error(bandit: Bandit) -> None:
    seen = within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups)
    assert torch.equal(seen.standard_error, torch.zeros_like(seen.estimate))


def test_one_objective_may_come_without_a_column_axis() -> None:
    rewards, prompt = torch.tensor([0.0, 1.0, 2.0, 5.0]), torch.tensor([3, 3, -1, -1])
    flat = within_prompt_covariance(rewards, rewards, prompt)
    assert torch.equal(
        flat.estimate, within_prompt_covariance(rewards[:, None], rewards, prompt).estimate
    )
    assert flat.estimate.tolist() == [pytest.approx((0.5 + 4.5) / 2)]
