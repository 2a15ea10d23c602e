"""Intervals and certificates of sampled covariances: by hand, by exact enumeration, by sampling."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.estimators.intervals import change_interval, interval
from covlaw.theory.estimators.sign_certificate import mean_ratio, sign_certified

Rng = np.random.Generator


def groups(prompts: int, completions: int) -> Tensor:
    return torch.arange(prompts).repeat_interleave(completions)


def hidden_rise(rng: Rng, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """32 × 16 samples: reward 1 and ratio 5 once in 500, reward 1 and ratio .99 every other time.

    The change is .002·4 − .5·.01 = +.003.
    """
    rest = (1 - 0.002 * 5 - 0.5 * 0.99) / 0.498
    kind = rng.choice(3, 512, p=[0.002, 0.5, 0.498])
    log_ratio = np.log(np.array([5, 0.99, rest])[kind]) + noise * rng.normal(size=512)
    return torch.as_tensor(np.array([1.0, 1.0, 0.0])[kind]), torch.as_tensor(log_ratio)


def test_a_fall_that_an_unseen_rise_undoes_is_not_certified() -> None:
    rng, prompt = np.random.default_rng(0), groups(32, 16)
    plain = certified = far = 0
    for _ in range(200):
        change = exact_change(*hidden_rise(rng), prompt)
        fall = bool(change.estimate < -3 * change.standard_error)
        plain += fall
        far += fall and not bool(mean_ratio(change).trusted)
        certified += bool(sign_certified(change))
    assert plain > 50  # a rare kind is missed with probability .998^512 = .36
    assert far == plain
    assert certified == 0


def test_the_limits_of_an_exact_change_worked_out_by_hand() -> None:
    """Pairs whose (r − 0)(ρ − 1) have means .1 and .15, (r − 1)(ρ − 1) .1 and .05, three times."""
    ratio = torch.tensor([1.2, 0.8, 1.3, 0.9] * 3, dtype=torch.float64)
    rewards = torch.tensor([1.0, 0.0, 1.0, 0.0] * 3).double()
    found = interval(exact_change(rewards, ratio.log(), groups(6, 2)), 0.95)
    t = stats.t.isf(0.05, 5)
    low, high = [], []
    for pattern in ([0.2, 0, 0.3, 0], [0, 0.2, 0, 0.1]):
        rows = np.tile(pattern, 3)
        clustered = rows.reshape(6, 2).mean(1).std(ddof=1) / math.sqrt(6)
        error = max(clustered, rows.std(ddof=1) / math.sqrt(12))
        low.append(rows.mean() - t * error)
        high.append(rows.mean() + t * error)
    # a pair's covariance is half the product of its gaps: .2 each, so Ĉ adds no limit beyond
    assert min(low) < 0.2 < max(high)
    assert found.low.item() == pytest.approx(min(low), rel=1e-12)
    assert found.high.item() == pytest.approx(max(high), rel=1e-12)


def test_the_limits_of_a_law_worked_out_by_hand() -> None:
    score = torch.tensor([1.0, 0.0, 3.0, 0.0] * 3).double()
    rewards = torch.tensor([1.0, 0.0, 0.0, 1.0] * 3).double()
    found = interval(within_prompt_covariance(rewards, score, groups(6, 2)), 0.9)
    own = np.array([0.5, -1.5] * 3)  # a pair's covariance is half the product of its gaps
    error = max(own.std(ddof=1) / math.sqrt(6), np.repeat(own, 2).std(ddof=1) / math.sqrt(12))
    margin = stats.t.isf(0.05, 5) * error
    # of an unseen one: reward ±1 from its partner's mean, score up to 3 either way; (1 − p)¹² = .05
    missed = (1 - 0.05 ** (1 / 12)) * 3
    assert found.low.item() == pytest.approx(-0.5 - margin - missed, rel=1e-12)
    assert found.high.item() == pytest.approx(-0.5 + margin + missed, rel=1e-12)


def test_few_prompts_that_agree_may_all_be_of_one_kind() -> None:
    """Of opposed kinds of prompts five drawn alike come once in 16 times, more than 5 % allow."""
    pair = torch.tensor([1.0, 0.0]).double()
    for prompts, bounded in ((5, False), (6, True)):
        both = pair.repeat(prompts)
        law = within_prompt_covariance(both, both, groups(prompts, 2))
        assert bool(torch.isfinite(interval(law).low)) is bounded
        assert not sign_certified(law).item()


def test_every_level_covers_a_rare_reward() -> None:
    """p = .02, K = 2, r with itself as score: 3 standard errors and z cover .7 at best."""
    rng, prompt, truth = np.random.default_rng(1), groups(32, 2), 0.02 * 0.98
    hit = plain = 0
    for _ in range(400):
        reward = torch.as_tensor((rng.random(64) < 0.02).astype(float))
        found = within_prompt_covariance(reward, reward, prompt)
        limits = interval(found)
        hit += bool(limits.low <= truth <= limits.high)
        plain += bool(abs(found.estimate - truth) <= 1.96 * found.standard_error)
    assert plain < 0.75 * 400
    assert hit >= 0.95 * 400


def test_what_did_not_vary_says_nothing_unless_the_range_is_known() -> None:
    prompt, log_ratio = groups(8, 2), torch.tensor([0.1, -0.1] * 8).double()
    never = exact_change(torch.zeros(16), log_ratio, prompt)
    found = interval(never)
    assert (found.low.item(), found.high.item()) == (-math.inf, math.inf)
    assert not sign_certified(never).item()
    bounded = interval(never, bounds=(0.0, 1.0))
    assert bounded.low < 0 < bounded.high < 1
    alone = exact_change(torch.tensor([0.0, 1.0]), log_ratio[:2], torch.zeros(2, dtype=torch.int64))
    assert interval(alone).high.item() == math.inf


def test_pairs_that_do_not_differ_leave_room_for_those_that_were_not_seen() -> None:
    rewards = torch.tensor([1.0, 0.0] * 16).double()[:, None]
    found = change_interval(rewards, rewards, groups(8, 4))
    missed = 1 - 0.025 ** (1 / 32)
    assert found.high.item() == pytest.approx(missed, rel=1e-12)
    assert found.low.item() == -found.high.item()
    still = change_interval(rewards * 0, rewards * 0, groups(8, 4))
    assert still.high.item() == math.inf


def test_an_exact_sign_is_certain_beyond_rounding() -> None:
    prompt, mass = torch.zeros(2, dtype=torch.int64), torch.full((2,), 0.5).double()
    column = torch.tensor([0.0, 1.0]).double()
    assert sign_certified(within_prompt_covariance(column, 1e-9 * column, prompt, mass)).item()
    noise = within_prompt_covariance(column, 1 + 1e-16 * column, prompt, mass)
    assert not sign_certified(noise).item()
    third = torch.full((3,), 1 / 3).double()
    constant = torch.full((3,), 0.1).double()
    rounded = within_prompt_covariance(
        torch.tensor([1.0, 0.0, 7.0]), constant, prompt[[0] * 3], third
    )
    assert not sign_certified(rounded).item()


@pytest.mark.parametrize(("prompts", "once_in"), [(2, 4.9), (4, 17.3), (8, 50), (32, 190)])
def test_true_zeros_pass_three_standard_errors_as_often_as_student_says(
    prompts: int, once_in: float
) -> None:
    """1 in 5, 17, 50 and 190 times by t with P - 1 degrees; certified at most 1 in 100."""
    share = 2 * stats.t.sf(3, prompts - 1)
    assert 1 / share == pytest.approx(once_in, rel=0.02)
    batches = 1000
    rng, prompt = np.random.default_rng(prompts), groups(prompts, 4)
    plain = certified = 0
    for _ in range(batches // 50):
        rewards, score = rng.normal(size=(2, 4 * prompts, 50))
        for reward, signal in zip(
            torch.as_tensor(rewards).T, torch.as_tensor(score).T, strict=True
        ):
            law = within_prompt_covariance(reward, signal, prompt)
            plain += bool(law.estimate.abs() > 3 * law.standard_error)
            certified += bool(sign_certified(law))
    # products of normals have tails of their own: a third of the share is allowed besides counting
    assert abs(plain / batches - share) < share / 3 + 4 * (share / batches) ** 0.5
    assert certified <= 0.01 * batches


def test_clear_signs_are_certified() -> None:
    rng, prompt = np.random.default_rng(2), groups(32, 16)
    z = rng.normal(size=512)
    rewards = torch.as_tensor(np.stack([z > 0, z < 0, rng.random(512) < 0.5], 1).astype(float))
    log_ratio = torch.as_tensor(0.2 * z - 0.02)
    assert sign_certified(exact_change(rewards, log_ratio, prompt)).tolist() == [True, True, False]
    law = within_prompt_covariance(rewards, torch.as_tensor(z), prompt)
    assert sign_certified(law).tolist() == [True, True, False]


def test_a_ratio_whose_mean_is_off_certifies_nothing() -> None:
    rng, prompt = np.random.default_rng(2), groups(32, 16)
    z = rng.normal(size=512)
    rewards = torch.as_tensor((z > 0).astype(float))
    off = exact_change(rewards, torch.as_tensor(0.2 * z + 0.05), prompt)
    assert not mean_ratio(off).trusted
    assert not sign_certified(off).item()


@pytest.mark.parametrize("level", [0.5, 1.0, math.nan])
def test_levels_and_bounds_are_checked(level: float) -> None:
    found = within_prompt_covariance(torch.tensor([0.0, 1.0]), torch.ones(2), torch.zeros(2).long())
    with pytest.raises(CovlawError, match="level"):
        interval(found, level)
    with pytest.raises(CovlawError, match="bounds"):
        interval(found, bounds=(0.0, 0.5))
    with pytest.raises(CovlawError, match="row by row"):
        change_interval(torch.zeros(2), torch.zeros(2), torch.zeros(2).long())
