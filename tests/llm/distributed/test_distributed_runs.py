"""Whole runs on several processes: as on one, and named culprits where one of them fails."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from killable import contents
from ranked import Ranked
from safetensors.torch import load_file

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines

# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10


def settings(folder: Path, policy: Path, **changes: Any) -> dict[str, Any]:
    """A small run with everything in it."""
    return TrainConfig(
        out=str(folder),
        model=str(policy),
        **{
            "rewards": ("conciseness_reference", "clarity_reference"),
            "steps": 3,
            "prompts": 5,
            "completions": 6,
            "observed": 4,
            "max_tokens": 6,
            "learning_rate": 1e-3,
            "mini_batches": 2,
            "kl_coefficient": 0.01,
            "audit": "full",
            "audits": 1,
            "threads": 1,
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
            own = name.startswith(("/engine_log_prob", "/moved"))
            slack = 1e-5 if own else ROUNDING * max(abs(value), 0.01)
            assert abs(found[name] - value) <= slack, name
    states = [load_file(run / "checkpoints" / "step-000003" / "states.safetensors") for run in runs]
    moved = False
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=ROUNDING, atol=ROUNDING)
        moved = moved or bool((value != 0).any())
    assert moved


def test_dynamic_sampling_fills_the_same_batch_on_every_rank(
    ranked: Ranked, policy_folder: Path, tmp_path: Path
) -> None:
    """Two ranks draw new groups together: the run ends, and its counts add up."""
    made = settings(
        tmp_path / "run", policy_folder, dynamic_sampling="score", dynamic_rounds=1, audits=0,
        engine_correction="tis", observed=2,
    )  # fmt: skip
    ranked.results("train", 2, settings=made)
    for step in steps(tmp_path / "run"):
        counts = step["dynamic_sampling"]
        assert counts["groups"] >= made["prompts"]
        assert counts["kept"] + counts["unfilled"] == made["prompts"]
        assert step["dead_groups"]["score"] == counts["unfilled"] / made["prompts"]


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
    first, second = errors(ranked, "fail", settings=made, step=1)
    assert first.startswith("rank 0: rank 1 stopped the run: reward 'taste' failed (stopped after")
    assert second.startswith("rank 1: reward 'taste' failed (stopped after 1 of 3 steps")
    # rank 0 was between two steps, and saved
    assert first.endswith("the same command continues from step 1)")


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
    assert len(steps(tmp_path / "run")) == 3
