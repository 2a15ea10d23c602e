"""PAMA: the published form lowers nothing to first order; the reference form sees no reward."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Bandit, bandits

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements.scalarization._short_response_drift import (
    enumerated_drift,
    exact_drift,
)


def batch(rewards: list[list[float]], **fields: torch.Tensor) -> Batch:
    values = torch.tensor(rewards, dtype=torch.float64)
    return Batch(values, torch.zeros(len(rewards), dtype=torch.int64), **fields)


def test_published_advantage_is_the_least_positive_part() -> None:
    scalarizer = make_scalarizer("pama", ["a", "b"])
    _, signal = scalarizer.signal(scalarizer.init(), batch([[3, 0], [0, 0], [0, 0], [1, 4]]))
    assert signal.advantage is not None
    assert signal.advantage.tolist() == [0, 0, 0, 0]  # A = (2, −1), (−1, −1), (−1, −1), (0, 3)
    _, signal = scalarizer.signal(scalarizer.init(), batch([[3, 1], [1, 3], [0, 0], [0, 0]]))
    assert signal.advantage is not None
    assert signal.advantage.tolist() == [0, 0, 0, 0]
    _, signal = scalarizer.signal(scalarizer.init(), batch([[4, 2], [0, 0]]))
    assert signal.score.tolist() == [1, 0]


@given(bandits(exact=True))
def test_published_form_has_no_negative_covariance(bandit: Bandit) -> None:
    """A > 0 only where every A_j > 0: Cov_x(r_j, A) = E_x[A_j A] ≥ 0."""
    names = [f"r{j}" for j in range(bandit.rewards.shape[1])]
    scalarizer = make_scalarizer("pama", names)
    data = Batch(bandit.rewards, bandit.prompt, bandit.mass, bandit.prompt_mass)
    _, signal = scalarizer.signal(scalarizer.init(), data)
    found = within_prompt_covariance(bandit.rewards, signal.score, *bandit.groups).estimate
    size = bandit.rewards.abs().amax(0)
    assert (found >= -rounding(4 * size * size.max(), 64 * (len(bandit.prompt) + 8))).all()


def reference(rewards: list[list[float]], log_ratio: torch.Tensor, mask: torch.Tensor) -> list:
    scalarizer = make_scalarizer("pama", [f"r{j}" for j in range(len(rewards[0]))], reference=True)
    data = batch(rewards, log_ratio_to_reference=log_ratio, mask=mask)
    advantage = scalarizer.signal(scalarizer.init(), data)[1].advantage
    assert advantage is not None
    return advantage.tolist()


def test_reference_weighs_every_token_by_one_number_times_the_kept_ratio() -> None:
    ratio = torch.tensor([[1.0, 1.1], [0.5, 1.3]], dtype=torch.float64)
    mask = torch.tensor([[True, True], [True, True]])
    found = reference([[1, 0], [0, 4]], ratio.log(), mask)
    least = 0.5  # A = ±1 for both, mean A⁺ = (1/2, 1/2)
    expected = least * torch.tensor([[1.0, 1.1], [0.5, 0.0]], dtype=torch.float64)
    assert np.abs(np.array(found) - expected.numpy()).max() <= rounding(1.0, 16)


def test_reference_normalises_over_tokens_and_reads_no_padding() -> None:
    """Lengths 1 and 3: a token in four has the reward, and three in four of the other one."""
    mask = torch.tensor([[True, False, False], [True, True, True]])
    log_ratio = torch.where(mask, 0.0, torch.nan)
    found = reference([[1, 0], [0, 7]], log_ratio, mask)
    # p = 1/4 of the tokens: A = (1 − p)/√(p(1 − p)) there, mean A⁺ = √(p(1 − p)), for both
    assert found[0][1] == found[0][2] == 0
    for advantage in (found[0][0], *found[1]):
        assert advantage == pytest.approx((3 / 16) ** 0.5)


def test_reference_ignores_which_completion_earned_which_reward() -> None:
    """Of those of one length; and scales of the rewards, since they are normalised."""
    log_ratio = torch.zeros(3, 2, dtype=torch.float64)
    mask = torch.ones(3, 2, dtype=torch.bool)
    plain = np.array(reference([[1, 0], [0, 3], [5, 1]], log_ratio, mask))
    others = ([[0, 3], [5, 1], [1, 0]], [[10, 0], [0, 3], [50, 1]])
    for rewards in others:
        found = np.array(reference(rewards, log_ratio, mask))
        assert np.abs(found - plain).max() <= rounding(1.0, 64)


def test_reference_gives_nothing_where_an_objective_does_not_vary() -> None:
    mask = torch.ones(3, 2, dtype=torch.bool)
    zero = torch.zeros(3, 2, dtype=torch.float64)
    assert not np.array(reference([[0.1, 0], [0.1, 3], [0.1, 1]], zero, mask)).any()


def test_reference_needs_ratios_and_mask() -> None:
    scalarizer = make_scalarizer("pama", ["a"], reference=True)
    assert scalarizer.before == {"log_ratio_to_reference", "mask"}
    with pytest.raises(CovlawError, match="needs log_ratio_to_reference and mask"):
        scalarizer.signal(scalarizer.init(), batch([[1.0], [0.0]]))
    mask, huge = torch.ones(2, 1, dtype=torch.bool), torch.full((2, 1), 1e3)
    data = batch([[1.0], [0.0]], log_ratio_to_reference=huge, mask=mask)
    with pytest.raises(CovlawError, match="finite ratios"):
        scalarizer.signal(scalarizer.init(), data)


def test_short_response_drift_of_a_batch_of_64() -> None:
    exact, leading = exact_drift(0.5, (1, 3), 64), 0.25 * 2 / (64 * 4)
    assert (round(exact, 6), round(leading, 6)) == (0.001976, 0.001953)


@given(st.floats(0.01, 0.99), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_drift_is_towards_the_shorter_response(p: float, one: int, two: int, half: int) -> None:
    exact = exact_drift(p, (one, two), 2 * half)
    assert np.sign(exact) == np.sign(two - one)
    found = float(enumerated_drift(p, (one, two), 2 * half))
    assert abs(found - exact) <= rounding(2.0, 1024 + 8 * (2 * half) ** 2)


def test_drift_approaches_its_leading_term_like_one_over_the_batch() -> None:
    def relative_error(size: int) -> float:
        mean = 0.3 * 2 + 0.7 * 5
        return exact_drift(0.3, (2, 5), size) * size * mean**2 / (0.3 * 0.7 * 3) - 1

    errors = [relative_error(size) for size in (100, 200, 400)]
    ratios = [a / b for a, b in itertools.pairwise(errors)]
    assert [round(r, 1) for r in ratios] == [2.0, 2.0]


def test_reference_form_runs_away_from_the_reference_policy() -> None:
    """Five arms, a deviation of 1e-3: the reference form enlarges it, whatever the rewards."""
    reference_policy = torch.full((5,), 0.2, dtype=torch.float64)
    theta = torch.tensor([1e-3, 0, 0, 0, -1e-3], dtype=torch.float64)
    rewards = torch.tensor([[0.0], [0], [1], [0], [0]], dtype=torch.float64)
    scalarizer = make_scalarizer("pama", ["r"], reference=True)
    distance = []
    for _ in range(130):  # until the clip stops it
        policy = theta.softmax(0)
        log_ratio = (policy / reference_policy).log()
        distance.append(float(log_ratio.max()))
        data = Batch(rewards, torch.zeros(5, dtype=torch.int64), policy)
        token = torch.ones(5, 1, dtype=torch.bool)
        data = data._replace(log_ratio_to_reference=log_ratio[:, None], mask=token)
        score = scalarizer.signal(scalarizer.init(), data)[1].score
        theta = theta + 0.1 * (score - policy @ score)
    assert all(b > a for a, b in itertools.pairwise(distance))
    assert distance[-1] > 20 * distance[0]
