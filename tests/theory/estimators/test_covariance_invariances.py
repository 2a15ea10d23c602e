"""What must not change a covariance, and what must change it in a known way."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from referee import tolerance
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance

BOTH = bandits(exact=True) | bandits(exact=False)


def estimate(bandit: Bandit) -> Tensor:
    return within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups).estimate


def assert_agree(first: Bandit, second: Bandit, factor: float = 1.0) -> None:
    for j, (a, b) in enumerate(zip(first.rewards.T, second.rewards.T, strict=True)):
        allowed = tolerance(b, second.score, second.prompt, second.prompt_mass)
        allowed += abs(factor) * tolerance(a, first.score, first.prompt, first.prompt_mass)
        assert abs(factor * estimate(first)[j] - estimate(second)[j]) <= allowed


@given(BOTH, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(bandit: Bandit, random: object) -> None:
    order = list(range(bandit.prompt.shape[0]))
    random.shuffle(order)  # type: ignore[attr-defined]
    mass = None if bandit.mass is None else bandit.mass[order]
    permuted = bandit._replace(
        prompt=bandit.prompt[order],
        rewards=bandit.rewards[order],
        score=bandit.score[order],
        mass=mass,
    )
    assert_agree(bandit, permuted)


@given(BOTH)
def test_prompts_may_be_relabelled(bandit: Bandit) -> None:
    ranks = torch.unique(bandit.prompt, return_inverse=True)[1]  # order kept: prompt_mass fits
    relabelled = bandit._replace(prompt=7 * ranks - 5)
    assert torch.equal(estimate(bandit), estimate(relabelled))


@given(BOTH)
def test_a_shift_of_rewards_per_prompt_changes_nothing(bandit: Bandit) -> None:
    ranks = torch.unique(bandit.prompt, return_inverse=True)[1]
    shift = torch.tensor([0.0, 64.0, -1024.0])[ranks][:, None] * bandit.rewards.abs().amax(0)
    shifted = bandit._replace(rewards=bandit.rewards + shift)
    # the shifted rewards are themselves rounded: judge against what was really passed
    exact_shift = bandit._replace(rewards=shifted.rewards - shift)
    assert_agree(exact_shift, shifted)


@given(BOTH, st.sampled_from([2.0, -0.25, 2.0**40]))
def test_a_power_of_two_scales_the_covariance_exactly(bandit: Bandit, factor: float) -> None:
    scaled = bandit._replace(rewards=factor * bandit.rewards)
    assert torch.equal(factor * estimate(bandit), estimate(scaled))


@given(BOTH)
def test_covariance_is_symmetric_in_reward_and_signal(bandit: Bandit) -> None:
    swapped = bandit._replace(rewards=bandit.score[:, None], score=bandit.rewards[:, 0])
    assert_agree(bandit._replace(rewards=bandit.rewards[:, :1]), swapped)


@given(bandits(exact=False))
def test_a_batch_may_be_split_by_prompt(bandit: Bandit) -> None:
    whole = within_prompt_covariance(bandit.rewards, bandit.score, bandit.prompt)
    parts = [
        within_prompt_covariance(bandit.rewards[rows], bandit.score[rows], bandit.prompt[rows])
        for rows in (bandit.prompt == x for x in whole.prompts)
    ]
    assert torch.equal(torch.cat([part.per_prompt for part in parts]), whole.per_prompt)


@given(bandits(exact=True))
def test_a_completion_may_be_listed_twice_with_half_its_mass(bandit: Bandit) -> None:
    doubled = bandit._replace(
        prompt=bandit.prompt.repeat(2),
        rewards=bandit.rewards.repeat(2, 1),
        score=bandit.score.repeat(2),
        mass=bandit.mass.repeat(2) / 2,  # type: ignore[union-attr]
    )
    assert_agree(bandit, doubled)


@given(bandits(exact=False))
def test_uniform_masses_are_samples_up_to_bessels_factor(bandit: Bandit) -> None:
    counts = (bandit.prompt[:, None] == bandit.prompt[None]).sum(1)
    as_mass = bandit._replace(mass=1 / counts.double())
    sampled = within_prompt_covariance(bandit.rewards, bandit.score, *bandit.groups)
    exact = within_prompt_covariance(bandit.rewards, bandit.score, *as_mass.groups)
    for k, x in enumerate(sampled.prompts):
        rows = bandit.prompt == x
        size = int(rows.sum())
        for j, column in enumerate(bandit.rewards.T):
            allowed = 2 * tolerance(column[rows], bandit.score[rows], bandit.prompt[rows])
            difference = exact.per_prompt[k, j] * size / (size - 1) - sampled.per_prompt[k, j]
            assert abs(difference) <= allowed


@pytest.mark.parametrize("kind", ["float32", "numpy", "list", "requires_grad"])
def test_every_kind_of_input_gives_the_float64_answer(kind: str) -> None:
    rng = np.random.default_rng(0)
    dtype = np.float32 if kind == "float32" else np.float64
    rewards = torch.as_tensor(rng.normal(size=(8, 2)).astype(dtype))
    score = torch.as_tensor(rng.normal(size=8).astype(dtype))
    prompt = torch.tensor([4, 4, 4, 9, 9, -2, -2, -2])
    convert = {
        "float32": lambda t: t,
        "numpy": lambda t: t.numpy(),
        "list": lambda t: t.tolist(),
        "requires_grad": lambda t: t.clone().requires_grad_(t.is_floating_point()),
    }[kind]
    seen = within_prompt_covariance(*(convert(t) for t in (rewards, score, prompt)))
    expected = within_prompt_covariance(rewards.double(), score.double(), prompt)
    assert seen.estimate.dtype == torch.float64
    assert torch.equal(seen.estimate.detach(), expected.estimate)
    assert torch.equal(seen.standard_error.detach(), expected.standard_error)
