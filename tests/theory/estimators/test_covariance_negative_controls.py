"""Plausible false estimators, each refuted by the same referee that the true one passes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from referee import mean_covariance, tolerance
from torch import Tensor

from covlaw.theory.estimators.covariance import within_prompt_covariance

Estimator = Callable[[Tensor, Tensor, Tensor], Tensor]


def ours(rewards: Tensor, score: Tensor, prompt: Tensor) -> Tensor:
    return within_prompt_covariance(rewards, score, prompt).estimate


def divided_by_k(rewards: Tensor, score: Tensor, prompt: Tensor) -> Tensor:
    count = (prompt == prompt[0]).sum()  # the same for every prompt here
    return ours(rewards, score, prompt) * (count - 1) / count


def not_centred_within_prompts(rewards: Tensor, score: Tensor, prompt: Tensor) -> Tensor:
    return ours(rewards, score, torch.zeros_like(prompt))


def outliers_dropped(rewards: Tensor, score: Tensor, prompt: Tensor) -> Tensor:
    keep = score.abs() <= 100 * score.abs().median()
    return ours(rewards * keep[:, None], score * keep, prompt)


def passes(estimator: Estimator, rewards: Tensor, score: Tensor, prompt: Tensor) -> bool:
    expected = mean_covariance(rewards[:, 0], score, prompt)
    error = abs(estimator(rewards, score, prompt)[0].item() - expected)
    return bool(error <= tolerance(rewards[:, 0], score, prompt))


def batch(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    prompt = torch.as_tensor(np.repeat(np.arange(8), 4))
    score = torch.as_tensor(rng.normal(size=32) + rng.normal(size=8).repeat(4))
    rewards = torch.as_tensor(rng.integers(0, 2, size=(32, 1)).astype(float)) + score[:, None]
    return rewards, score, prompt


@pytest.mark.parametrize("seed", range(5))
def test_the_unbiased_estimator_passes(seed: int) -> None:
    assert passes(ours, *batch(seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("estimator", [divided_by_k, not_centred_within_prompts])
def test_a_false_estimator_is_refuted(estimator: Estimator, seed: int) -> None:
    assert not passes(estimator, *batch(seed))


def test_pooling_prompts_reverses_the_sign() -> None:
    rewards = torch.tensor([0.0, 1.0, 10.0, 11.0])[:, None]
    score, prompt = torch.tensor([1.0, 0.0, 11.0, 10.0]), torch.tensor([0, 0, 1, 1])
    uniform, together = torch.full((4,), 0.5), torch.zeros(4, dtype=torch.int64)
    law = within_prompt_covariance(rewards, score, prompt, uniform)
    pooled = within_prompt_covariance(rewards, score, together, uniform / 2)
    assert law.estimate.item() == -0.25
    assert pooled.estimate.item() == 24.75


def test_dropping_outliers_loses_rare_successes() -> None:
    reward = torch.zeros(512)
    reward[[3, 200]] = 1.0
    whitened = (reward - reward.mean()) / reward.std()
    prompt = torch.arange(512) // 16
    whitened = torch.where(reward > 0, 200.0, whitened)  # any weight beyond 100 medians
    assert ours(reward[:, None], whitened, prompt).item() > 0
    assert outliers_dropped(reward[:, None], whitened, prompt).abs().item() == 0
