"""Dead groups and truncated completions are counted by group, on rows by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import small_run

from covlaw.llm.loop.group_shares import group_shares, truncated, warn_of_flat
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.train import train

EOS = 2


def rows() -> SampledRollouts:
    """Two prompts of two completions; the first group is cut off throughout."""
    tokens = torch.tensor([[5, 5, 5], [5, 6, 7], [5, EOS, 0], [5, 5, 6]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]]).bool()
    zeros, one = torch.zeros(4, 3), torch.ones(4, 1)
    prompt = torch.tensor([0, 0, 1, 1])
    completions = Completions(one.long(), one.bool(), tokens, mask, zeros, prompt, ["a"] * 4)
    rewards = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0], [0.0, 2.0]], dtype=torch.float64)
    return SampledRollouts.of(completions, rewards, ("first", "second"))


def test_shares_by_hand() -> None:
    """`first` is constant in both groups, `second` in one, and so is the advantage."""
    advantage = torch.tensor([-0.5, 0.5, 0.0, 0.0], dtype=torch.float64)
    found = group_shares(rows(), advantage, (EOS,))
    assert found["dead_groups"] == {"first": 1.0, "second": 0.5, "score": 0.5}
    assert found["truncated"] == {"completions": 0.75, "groups": 0.5}


def test_a_token_level_advantage_is_dead_only_where_every_token_is() -> None:
    advantage = torch.zeros(4, 3, dtype=torch.float64)
    advantage[2, 1], advantage[3, 1] = 1.0, -1.0  # they cancel, and still teach
    assert group_shares(rows(), advantage, (EOS,))["dead_groups"]["score"] == 0.5


@pytest.mark.parametrize(("eos", "cut"), [(EOS, [1, 1, 0, 1]), (7, [1, 0, 1, 1])])
def test_what_ends_with_its_own_last_token_is_not_truncated(eos: int, cut: list[int]) -> None:
    assert truncated(rows().completions, (eos,)).long().tolist() == cut


def test_a_reward_without_variance_within_prompts_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`first` is 1 in one group and 0 in the other; `second` varies in one and is not named."""
    warn_of_flat(rows())
    assert caplog.text.count("nothing can be learnt") == 1
    assert "reward 'first' varies within none of the first batch's 2 prompts" in caplog.text
    zeros = torch.zeros(4, 2, dtype=torch.float64)
    warn_of_flat(replace(rows(), rewards=zeros, raw=zeros))
    assert "'second' is 0 on all 4 completions of the first batch" in caplog.text


def test_a_reward_without_an_opinion_is_not_taken_for_a_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given, nan = rows(), float("nan")
    raw = torch.tensor([[nan, 1.0], [nan, nan], [nan, nan], [nan, 1.0]], dtype=torch.float64)
    warn_of_flat(SampledRollouts.of(given.completions, raw, ("first", "second")))
    assert "'first' has no opinion on any of the first batch's 4 completions" in caplog.text
    assert "'second' is 1 on 2 of 4 completions of the first batch" in caplog.text
    assert "is 0 on" not in caplog.text


def test_it_is_said_once_a_run(
    policy_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rewards = ("own_rewards:digits", "nothing=accuracy_reference")
    train(small_run(policy_folder, tmp_path / "run", rewards=rewards, steps=3, audits=0))
    assert caplog.text.count("nothing can be learnt") == 1
    assert "reward 'nothing' is 0 on all 24 completions" in caplog.text
