"""Runs compute with their own number of threads and leave the caller's as it was."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.cores import physical_cores
from covlaw.llm.evaluate.config import EvalConfig
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


def test_threads_of_one_core_are_counted_once_and_a_containers_share_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 5}, raising=False)
    for cpu, siblings in {0: "0,4", 1: "1,5", 2: "2", 3: "3", 4: "0,4", 5: "1,5"}.items():
        topology = tmp_path / "devices" / "system" / "cpu" / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings + "\n")
    assert physical_cores(tmp_path) == 4  # five processors; 1 and 5 share a core
    limit = tmp_path / "fs" / "cgroup" / "cpu.max"
    limit.parent.mkdir(parents=True)
    for text, cores in {"max 100000": 4, "150000 100000": 2, "50000 100000": 1}.items():
        limit.write_text(text + "\n")
        assert physical_cores(tmp_path) == cores
    assert physical_cores(tmp_path / "no Linux") == 5


def test_a_run_on_all_cores_records_how_many_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(physical_cores()))
    assert TrainConfig(threads=0).threads == 1  # each process has its part
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    config = TrainConfig(threads=0)
    assert config.threads == physical_cores() >= 1
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert TrainConfig() == config
    assert EvalConfig(threads=0) == EvalConfig()
    assert EvalConfig().threads == physical_cores()
    with pytest.raises(CovlawError, match="threads is -1"):
        TrainConfig(threads=-1)
