"""A run on several processes is the run on one: the same statistics, updates and states."""

import socket
from pathlib import Path
from typing import Any

import pytest
import referee
import torch
from rank_jobs import random_batch, statistics
from ranked import Ranked

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.checks import (
    launched,
    placed,
    require_one_process,
    require_work_for,
)
from covlaw.llm.distributed.processes import active, ranks_of_run
from covlaw.theory._numerics.errors import CovlawError

# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10

SEEDS = 8


@pytest.mark.parametrize("size", [2, 3])
def test_statistics_do_not_depend_on_how_prompts_are_split(ranked: Ranked, size: int) -> None:
    """Unequal numbers of prompts a rank, none included; every rank gets the same bits."""
    everyone = ranked.results("gathered_statistics", size, seeds=SEEDS)
    assert all(found == everyone[0] for found in everyone)
    for seed, found in enumerate(everyone[0]):
        completions, rewards, log_ratio = random_batch(seed)
        expected = statistics(rewards, log_ratio, completions.prompt)
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, rel=0, abs=1e-12), name
        score = rewards.sum(1)
        for j, estimate in enumerate(found["covariance"]):
            exact = float(referee.mean_covariance(rewards[:, j], score, completions.prompt))
            bound = referee.tolerance(rewards[:, j], score, completions.prompt)
            assert abs(estimate - exact) <= bound < 1e-12


INNER = {"epochs": 2, "mini_batches": 3, "micro_batch": 2, "clip_low": 0.01, "clip_high": 0.01}
PENALTIES = {"kl_coefficient": 0.3, "entropy_coefficient": 0.2, "kl_estimator": "k2"}


@pytest.mark.parametrize("aggregation", ["sequence_sum", "sequence_mean", "token_mean"])
@pytest.mark.parametrize("settings", [{}, {**INNER, **PENALTIES, "grad_clip": 0.05}])
def test_an_update_is_the_one_process_s(
    ranked: Ranked, policy_folder: Path, aggregation: str, settings: dict[str, Any]
) -> None:
    settings = {"grad_clip": 0.0, **settings, "aggregation": aggregation}
    gaps = ranked.results("compared", policy=str(policy_folder), what="update", settings=settings)
    for found in gaps:
        sizes = {n: found.pop(n) for n in list(found) if n.startswith("size")}
        assert all(gap < ROUNDING for gap in found.values()), found
        assert sizes["size of grad_norm"] > 0.01
        if settings["grad_clip"]:
            assert sizes["size of grad_norm"] > settings["grad_clip"]
            assert all(size > 0 for size in sizes.values()), sizes


def test_every_pass_of_a_run_is_the_one_process_s(ranked: Ranked, policy_folder: Path) -> None:
    """On three ranks and one row two of them have nothing to do."""
    arguments: dict[str, Any] = {"policy": str(policy_folder), "what": "passes", "settings": {}}
    for found in ranked.results("compared", 3, **arguments):
        assert all(gap < ROUNDING for gap in found.values()), found


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "MASTER_ADDR is not set: launch with torchrun"),
        ({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}, "RANK is not set"),
        ({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "two"}, "RANK is 'two', no"),
        ({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "2"}, "RANK is 2 of 2"),
    ],
)
def test_a_launcher_that_sets_too_little_is_told_so(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(CovlawError, match=message):
        launched({"WORLD_SIZE": "2", **environment})


def test_settings_without_work_for_every_rank_are_refused() -> None:
    with pytest.raises(CovlawError, match="audit_prompts is 2 for 3 processes"):
        require_work_for(3, TrainConfig(audit_prompts=2))
    require_work_for(3, TrainConfig(audit_prompts=2, audits=0))
    with pytest.raises(CovlawError, match="prompts is 2 for 3 processes"):
        require_work_for(3, TrainConfig(prompts=2))


def test_an_evaluation_refuses_several_processes() -> None:
    with pytest.raises(CovlawError, match="an evaluation runs in one process, not in 2"):
        require_one_process(
            {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
            "an evaluation",
        )


def test_a_rank_alone_at_the_meeting_says_who_did_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    names = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    late = pytest.raises(CovlawError, match="rank 0 did not meet the 1 other processes at 127")
    with late, ranks_of_run(TrainConfig(rank_seconds=1.0)):
        pass
    assert active().alone


@pytest.mark.parametrize(
    ("visible", "local_rank", "changes", "expected"),
    [
        (4, 3, {"device": "cuda"}, "cuda:3"),
        (1, 3, {"device": "cuda"}, "cuda:0"),
        (4, 3, {"device": "cpu"}, "cpu"),
        (4, 0, {"device": "cuda:1"}, "device is 'cuda:1' for every rank"),
        (2, 2, {"device": "cuda"}, "has no GPU of its own: 2 are visible"),
        (0, 0, {"device": "cuda"}, "has no GPU of its own: 0 are visible"),
        (2, 0, {"device": "cuda", "engine": "vllm"}, "each sees 2: show each its own"),
        (1, 1, {"device": "cuda", "engine": "vllm"}, "cuda:0"),
    ],
)
def test_each_rank_gets_its_own_device_or_the_reason_why_not(
    monkeypatch: pytest.MonkeyPatch,
    visible: int,
    local_rank: int,
    changes: dict[str, str],
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    try:
        found = placed(TrainConfig.from_dict(changes), local_rank).device
    except CovlawError as error:
        found = str(error)
    assert expected in found
