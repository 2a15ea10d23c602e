"""Runs compute with their own number of threads and leave the caller's as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.threads import thread_count
from covlaw.llm.train import train
from covlaw.theory._numerics.errors import CovlawError


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_the_number_is_given_back_after_an_error() -> None:
    used = list[int]()

    def fail() -> None:
        with thread_count(2):
            used.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert used == [2]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_training_uses_its_own_number_and_gives_the_callers_back(
    policy_folder: Path, tmp_path: Path
) -> None:
    config = TrainConfig(
        out=str(tmp_path / "run"),
        model=str(policy_folder),
        rewards=("own_rewards:digits", "own_rewards:brief"),
        steps=1,
        prompts=2,
        completions=2,
        max_tokens=2,
        audits=0,
        threads=1,
    )
    used = list[int]()
    train(config, lambda *_: used.append(torch.get_num_threads()))
    assert used == [1]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_a_run_that_cannot_start_gives_them_back_too(tmp_path: Path) -> None:
    config = TrainConfig(out=str(tmp_path / "run"), model="nowhere", rewards=("no_such_reward",))
    with pytest.raises(CovlawError):
        train(config)
    assert torch.get_num_threads() == 3
