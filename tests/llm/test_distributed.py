"""A run on several processes is the run on one: the same statistics, updates and states."""

import json
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
from covlaw.llm.records import STEPS, read_lines

# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10

SEEDS = 25


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
