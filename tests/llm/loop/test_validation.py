"""Evaluations during a run: what they record, and that the run does not notice them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from killable import contents
from small_runs import small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.loop.validation import Validation
from covlaw.llm.rewards import RewardState, initial_state, observe_lengths
from covlaw.llm.tasks import load_task
from covlaw.llm.train import TrainingLoop, train
from covlaw.records.runs import EVALUATIONS, read_lines
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding

_NUMBERS = ("reward_mean", "reward_se")


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=("conciseness_reference", "clarity_reference"),
        scalarizer="ctwa",
        prompts=3,
        completions=4,
        observed=2,
        max_tokens=5,
        audits=1,
        audit_prompts=2,
        audit_completions=2,
        measured_completions=2,
        evaluate_every=2,
        evaluate_prompts=7,
        evaluate_completions=3,
    )


def test_evaluations_are_recorded_every_few_steps_and_at_both_ends(config: TrainConfig) -> None:
    found = list(read_lines(train(config) / EVALUATIONS))
    assert [line["step"] for line in found] == [0, 2, 4, 5]
    assert {(line["split"], line["n_prompts"], line["n_completions"]) for line in found} == {
        ("val", 7, 21)
    }
    assert all(len(line["reward_mean"]) == len(line["reward_se"]) == 2 for line in found)


def test_a_run_does_not_notice_its_evaluations(config: TrainConfig, tmp_path: Path) -> None:
    """Records, audits, checkpoints with all states, and the model: bit for bit.

    But for the settings that checkpoints name.
    """
    silent = train(replace(config, out=str(tmp_path / "silent"), evaluate_every=0))
    expected, found = contents(silent), contents(train(config))
    del found[EVALUATIONS]
    seals = [name for name in expected if name.endswith("step.json")]
    assert seals
    for name in seals:
        told = [json.loads(files.pop(name)) for files in (expected, found)]
        settings = [seal.pop("settings") for seal in told]
        assert told[0] == told[1]
        assert settings[0] | {"evaluate_every": 2} == settings[1]
    assert found == expected


def test_evaluations_are_means_over_the_val_split(config: TrainConfig) -> None:
    """Against plain loops over prompts on the very completions."""
    loop = TrainingLoop(Trainer(config), Path(config.out))
    validation = loop.validation
    assert validation
    lengths = torch.tensor([3.0, 4.0])
    state = observe_lengths(initial_state(lengths), lengths)
    record = validation.record(2, state)
    questions = {p.prompt for p in load_task(config.task, "val")}
    assert {p.prompt for p in validation.problems} <= questions
    scores = [
        loop.trainer.sampler.rewards(completions, problems, state)
        for problems, completions in validation._sample()
    ]
    rows = torch.cat(scores)
    prompts = [rows[3 * k : 3 * k + 3].mean(0) for k in range(7)]
    mean = sum(prompts) / 7
    variance = sum((p - mean) ** 2 for p in prompts) / 6
    found, error = (torch.tensor(record[k], dtype=torch.float64) for k in _NUMBERS)
    bound = rounding(1.0, 60)  # sums of 21 numbers of size ≤ 1 in another order, squared
    assert ((found - mean).abs() <= bound).all()
    assert ((error**2 - variance / 7).abs() <= bound).all()
    assert (error > 0).any()


def test_a_split_without_two_prompts_is_refused(config: TrainConfig) -> None:
    with pytest.raises(CovlawError, match="an evaluation would have 1 prompts of split 'val'"):
        train(replace(config, evaluate_prompts=1))
    assert [file.name for file in Path(config.out).iterdir()] == [".lock"]


def test_a_reward_that_fails_in_an_evaluation_stops_the_run_whole(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unbroken = contents(train(replace(config, out=str(tmp_path / "unbroken"))))
    record = Validation.record

    def fails(self: Validation, step: int, state: RewardState) -> dict[str, object]:
        if step == 4:
            raise CovlawError("reward failed")
        return record(self, step, state)

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "record", fails)
        with pytest.raises(CovlawError, match=r"reward failed \(.* continues from step 4\)"):
            train(config)
    found = contents(train(config))
    assert {k: v for k, v in found.items() if "step-000004" not in k} == unbroken
