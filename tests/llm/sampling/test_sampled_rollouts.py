"""Rollouts with tokens: rows and parts keep rewards, advantages and tokens together."""

import pytest
import torch

from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import within_prompt_covariance


@pytest.fixture
def sampled(draw) -> SampledRollouts:
    completions = draw(n=4)
    rewards = torch.arange(24.0).double().reshape(12, 2)
    return SampledRollouts.of(completions, rewards, ("first", "second"))


@pytest.mark.parametrize("by_token", [False, True])
def test_rows_of_everything_are_the_same_rows(sampled: SampledRollouts, by_token: bool) -> None:
    shape = sampled.completions.tokens.shape if by_token else (12,)
    advantage = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    index = sampled.completions.lengths.argsort()[:3]  # the shortest: columns fall away
    part = sampled.weighted(advantage).rows(index)
    width = part.completions.tokens.shape[1]
    assert width < sampled.completions.tokens.shape[1]
    assert torch.equal(part.rewards, sampled.rewards[index])
    assert torch.equal(part.completions.tokens, sampled.completions.tokens[index, :width])
    kept = advantage[index, :width] if by_token else advantage[index]
    assert torch.equal(part.trained_advantage(), kept)
    assert torch.equal(TrainingBatch.of(part).advantage, kept)


def test_parts_hold_each_row_once(sampled: SampledRollouts) -> None:
    own, others = sampled.parted(3)
    assert own.prompt.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert others.rewards[:, 0].tolist() == [6.0, 14.0, 22.0]  # the fourth of each prompt
    assert len(torch.cat([own.rewards, others.rewards]).unique(dim=0)) == 12


def test_a_single_completion_has_a_mean_and_no_covariance(sampled: SampledRollouts) -> None:
    _, single = sampled.parted(3)
    assert single.rewards.mean(0).tolist() == [14.0, 15.0]
    with pytest.raises(CovlawError, match="a single completion"):
        within_prompt_covariance(single.rewards, single.rewards[:, 0], *single.groups)
