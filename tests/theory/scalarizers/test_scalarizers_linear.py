"""Linear: fixed weights, normalised; E6 says which objective falls."""

import pytest
import torch
from hypothesis import given
from strategies import Bandit, bandits

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix, within_prompt_covariance
from covlaw.theory.scalarizers import Batch, make_scalarizer


def test_weights_are_normalised() -> None:
    scalarizer = make_scalarizer("linear", ["a", "b", "c"], weights=[1, 2, 5])
    rewards = torch.eye(3, dtype=torch.float64)
    _, signal = scalarizer.signal(scalarizer.init(), Batch(rewards, torch.zeros(3)))
    assert signal.score.tolist() == [0.125, 0.25, 0.625]


@pytest.mark.parametrize("weights", [[0.1] * 10, [1 / 6] * 6, [0.7, 0.2, 0.1], None])
def test_weights_that_sum_to_one_up_to_rounding_are_accepted(weights: list[float] | None) -> None:
    count = len(weights or [1, 1])
    scalarizer = make_scalarizer("linear", [f"r{j}" for j in range(count)], weights=weights)
    ones = torch.ones(2, count, dtype=torch.float64)
    _, signal = scalarizer.signal(scalarizer.init(), Batch(ones, torch.zeros(2)))
    assert ((signal.score - 1).abs() <= rounding(1.0, 2 * count)).all()


@pytest.mark.parametrize("size", [1e308, 1.0, 5e-324])
def test_the_size_of_the_weights_does_not_matter(size: float) -> None:
    """The sum of two weights of 1e308 overflows: shares of it would all be 0."""
    scalarizer = make_scalarizer("linear", ["a", "b"], weights=[size, size])
    _, signal = scalarizer.signal(
        scalarizer.init(), Batch(torch.eye(2, dtype=torch.float64), torch.zeros(2))
    )
    assert signal.weights is not None
    assert signal.weights.tolist() == [0.5, 0.5]


@given(bandits(exact=True) | bandits(exact=False))
def test_each_covariance_is_a_row_of_the_matrix_times_the_weights(bandit: Bandit) -> None:
    """E6: Cov(r_j, s) = (Cλ)_j, so objective j falls where the others' covariances outweigh it."""
    count = bandit.rewards.shape[1]
    scalarizer = make_scalarizer(
        "linear", [f"r{j}" for j in range(count)], weights=list(range(1, count + 1))
    )
    _, signal = scalarizer.signal(scalarizer.init(), Batch(bandit.rewards, bandit.prompt))
    seen = within_prompt_covariance(bandit.rewards, signal.score, *bandit.groups).estimate
    matrix = covariance_matrix(bandit.rewards, *bandit.groups)
    assert signal.weights is not None
    size = bandit.rewards.abs().amax(0)
    # the score is rounded to its own size before it is centred: no better than that is possible
    allowed = rounding(4 * size * size.max(), 16 * (bandit.prompt.shape[0] + 8))
    assert ((seen - matrix @ signal.weights).abs() <= allowed).all()
