"""A run on several processes is the run on one: the same statistics, updates and states."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import referee
import torch
from killable import contents
from rank_jobs import random_batch, statistics
from ranked import Ranked
from safetensors.torch import load_file

from covlaw.llm.config import TrainConfig
from covlaw.llm.distributed import active, joined
from covlaw.llm.distributed_checks import (
    launched,
    placed,
    require_one_process,
    require_work_for,
)
from covlaw.llm.records import STEPS, read_lines
from covlaw.llm.train import train
from covlaw.theory.errors import CovlawError

# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10

SEEDS = 12


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


# -- whole runs -----------------------------------------------------------------------------------


def settings(folder: Path, policy: Path, **changes: Any) -> dict[str, Any]:
    """A small run with everything in it."""
    return TrainConfig(
        out=str(folder),
        model=str(policy),
        **{
            "rewards": ("conciseness_reference", "clarity_reference"),
            "steps": 4,
            "prompts": 5,
            "completions": 6,
            "observed": 4,
            "max_tokens": 6,
            "learning_rate": 1e-3,
            "mini_batches": 2,
            "kl_coefficient": 0.01,
            "audits": 2,
            "audit_prompts": 3,
            "audit_completions": 4,
            "measured_completions": 4,
            "checkpoint_every": 2,
            "rank_seconds": 20.0,
            **changes,
        },
    ).to_dict()


def steps(run: Path) -> list[dict[str, Any]]:
    return list(read_lines(run / STEPS))


def numbers(value: Any, path: str = "") -> dict[str, float]:
    """Every number of a record, by its place."""
    if isinstance(value, dict):
        return {k: v for n, x in value.items() for k, v in numbers(x, f"{path}/{n}").items()}
    if isinstance(value, list):
        return {k: v for n, x in enumerate(value) for k, v in numbers(x, f"{path}/{n}").items()}
    return {path: value} if isinstance(value, int | float) else {}


@pytest.mark.parametrize("scalarizer", ["ctwa", "lagrangian", "dynamic", "mgda"])
def test_a_run_is_the_one_process_s(
    ranked: Ranked, policy_folder: Path, tmp_path: Path, scalarizer: str
) -> None:
    """Given the same completions; the scalarizer's state and Gramian included."""
    runs = [tmp_path / f"on {size}" for size in (1, 2)]
    for size, run in enumerate(runs, start=1):
        made = settings(run, policy_folder, scalarizer=scalarizer, audits=0)
        ranked.results("same_samples", size, settings=made)
    one, two = (steps(run) for run in runs)
    exact = [
        n for n in numbers(one[0]) if n.split("/")[1] in ("reward_mean", "reward_se", "tokens")
    ]
    for a, b in zip(one, two, strict=True):
        expected, found = numbers(a), numbers(b)
        assert found.keys() == expected.keys()
        assert {n: found[n] for n in exact} == {n: expected[n] for n in exact}
        for name, value in expected.items():
            slack = 1e-5 if name == "/engine_log_prob_gap" else ROUNDING * max(abs(value), 0.01)
            assert abs(found[name] - value) <= slack, name
    states = [load_file(run / "checkpoints" / "step-000004" / "states.safetensors") for run in runs]
    moved = False
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=ROUNDING, atol=ROUNDING)
        moved = moved or bool((value != 0).any())
    assert moved


# -- ranks that fail, hang or differ --------------------------------------------------------------


def errors(ranked: Ranked, job: str, **arguments: Any) -> list[str]:
    answers = ranked.run(job, **arguments)
    assert all(answer.error for answer in answers), answers
    return [str(answer.error) for answer in answers]


@pytest.mark.parametrize(
    ("what", "name"), [("state", "the scalarizer's state"), ("parameters", "the parameters")]
)
def test_a_rank_that_differs_in_one_bit_ends_the_run_before_its_step_is_recorded(
    ranked: Ranked, policy_folder: Path, tmp_path: Path, what: str, name: str
) -> None:
    made = settings(tmp_path / "run", policy_folder, scalarizer="ctwa", audits=0)
    for found in errors(ranked, "differ", settings=made, step=2, what=what):
        assert f"after step 3 rank 1 differs from rank 0 in {name} (it is at step 3)" in found
        assert "the same command continues from step 2" in found
    assert len(steps(tmp_path / "run")) == 2


def test_a_rank_that_hangs_is_named(ranked: Ranked, policy_folder: Path, tmp_path: Path) -> None:
    made = settings(tmp_path / "run", policy_folder, rank_seconds=1.0, audits=0)
    first, second = errors(ranked, "hang", settings=made, step=1, seconds=2.5)
    assert "rank 0: rank 1 did not reach step 1, sampling, within 1 s" in first
    assert "rank_seconds" in first
    assert "rank 1: rank 0 ended before sampling of step 1; see its own message" in second
    assert len(steps(tmp_path / "run")) == 1


def test_a_rank_s_error_is_told_by_all(ranked: Ranked, policy_folder: Path, tmp_path: Path) -> None:
    made = settings(tmp_path / "run", policy_folder)
    first, second = errors(ranked, "fail", settings=made, step=3)
    assert first.startswith("rank 0: rank 1 stopped the run: reward 'taste' failed (stopped after")
    assert second.startswith("rank 1: reward 'taste' failed (stopped after 3 of 4 steps")
    # rank 0 was between two steps, and saved
    assert first.endswith("the same command continues from step 3)")


def test_a_killed_rank_ends_the_run_and_the_same_command_continues_it(
    ranked: Ranked, policy_folder: Path, tmp_path: Path
) -> None:
    whole, broken = (
        settings(tmp_path / name, policy_folder, scalarizer="ctwa") for name in ("whole", "broken")
    )
    # news comes to rank 0 alone
    assert ranked.results("train", settings=whole) == [True, False]
    first, second = ranked.run("train", settings=broken, kill_at=2)
    assert second.signal == 9
    assert "rank 0: rank 1 ended before step 2, sampling" in str(first.error)
    assert "the same command continues from step 2" in str(first.error)
    ranked.results("train", settings=broken)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    environment = (tmp_path / "whole" / "environment.json").read_text(encoding="utf-8")
    assert json.loads(environment)["processes"] == 2


def test_another_number_of_processes_continues_and_says_what_that_changes(
    ranked: Ranked,
    policy_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = settings(tmp_path / "run", policy_folder, scalarizer="ctwa", audits=0)
    ranked.run("train", settings=made, kill_at=2)
    kept = (tmp_path / "run" / STEPS).read_bytes()
    train(TrainConfig.from_dict(made))
    assert "the run had 2 processes at step 2 and has 1 now" in caplog.text
    assert (tmp_path / "run" / STEPS).read_bytes().startswith(kept)
    assert len(steps(tmp_path / "run")) == 4


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
    with late, joined(TrainConfig(rank_seconds=1.0)):
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
