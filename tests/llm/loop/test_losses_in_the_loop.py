"""Every policy loss trains, and the audit of its step says what it followed."""

import tomllib
from pathlib import Path

import pytest
import torch

from covlaw.llm.audit.record import load_evidence
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.rung import instances
from covlaw.llm.train import train
from covlaw.records.runs import CONFIG, STEPS, read_lines
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses import LOSSES, make_loss
from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.worlds.updates import InnerStep

RANGES = {"gspo": (3e-4, 4e-4), "gspo_token": (3e-4, 4e-4), "cispo": (1.0, 4.0)}


def settings(loss: str, policy_folder: Path, out: Path, **changes: object) -> TrainConfig:
    return TrainConfig(
        **{  # type: ignore[arg-type]
            "out": str(out),
            "model": str(policy_folder),
            "rewards": ("own_rewards:digits", "own_rewards:brief"),
            "loss": loss,
            "steps": 1,
            "prompts": 4,
            "completions": 6,
            "max_tokens": 6,
            "learning_rate": 2e-2,
            "epochs": 3,
            "micro_batch": 5,
            "audit": "full",
            "audits": 1,
            "audit_prompts": 5,
            "audit_completions": 8,
            "measured_completions": 8,
            "reward_seconds": 0.0,
            **changes,
        }
    )


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_step_trains_and_its_audit_adds_up(
    loss: str, policy_folder: Path, tmp_path: Path
) -> None:
    config = settings(loss, policy_folder, tmp_path / loss)
    run = train(config)
    record = tomllib.loads((run / CONFIG).read_text())
    assert (record["clip_low"], record["clip_high"]) == RANGES.get(
        loss, (0.2, 0.28 if loss == "dapo" else 0.2)
    )
    assert TrainConfig.from_dict(record) == config
    (step,) = read_lines(run / STEPS)
    independent = step["audits"][0]
    total = [sum(term[j] for term in independent["budget"].values()) for j in range(2)]
    # seven sums of 40 float64 products of size < 1
    assert total == pytest.approx(independent["exact_change"]["estimate"], abs=1e-12)
    assert 0 <= step["clip_fraction_low"] + step["clip_fraction_high"] <= 1
    if loss != "cispo":  # whose upper bound of 5 is far away
        assert step["clip_fraction_low"] + step["clip_fraction_high"] > 0

    (path,) = sorted((run / "audits").glob("*.safetensors"))
    evidence, _ = load_evidence(path, config.objectives)
    by_length = config.make_loss().aggregation == "sequence_mean"
    assert ("law_by_sum" in independent) == by_length
    first, ratio = evidence.inner[0]
    assert not ratio.any()
    # W = s at ratio 1: a mean over at most 6 tokens, once more divided
    gap = (first - evidence.fields.score).abs()
    assert (gap <= 16 * 2.0**-53 * evidence.fields.score.abs()).all()
    law = within_prompt_covariance(
        evidence.rollouts.rewards, evidence.fields.score, evidence.rollouts.prompt
    )
    assert independent["law"]["estimate"] == law.estimate.tolist()
    moved = torch.stack([weight for weight, _ in evidence.inner[1:]])
    assert not torch.equal(moved[0], first)

    steps = list(instances(run, InnerStep))
    assert len(steps) == 4
    for id in ("T27", "T50"):
        assert check_on(STATEMENTS[id], steps, "llm").violations == 0


def test_a_loss_fills_what_is_not_set_and_no_more(policy_folder: Path, tmp_path: Path) -> None:
    config = settings("gspo", policy_folder, tmp_path)
    assert config.aggregation == "sequence_mean"
    assert config.make_loss() == make_loss("gspo")
    own = settings("gspo", policy_folder, tmp_path, clip_high=1e-3, aggregation="sequence_sum")
    assert (own.clip_low, own.clip_high, own.aggregation) == (3e-4, 1e-3, "sequence_sum")
    named = settings("dapo", policy_folder, tmp_path, algorithm="grpo")
    assert (named.aggregation, named.normaliser) == ("token_mean", "grpo")
    plain = settings("ppo", policy_folder, tmp_path, algorithm="grpo")
    assert (plain.clip_low, plain.clip_high, plain.aggregation) == (0.2, 0.2, "sequence_mean")
    assert named.with_options(loss="ppo") == plain
    assert plain.with_options(loss="cispo").clip_high == 4


OWN = """
from dataclasses import dataclass
from typing import ClassVar

from covlaw.theory.losses.ppo import PPO


@dataclass(frozen=True)
class Narrow(PPO):
    source: ClassVar[str] = "a test"
    published_aggregation: ClassVar[str] = "token_mean"
    clip_high: float = 0.01
    aggregation: str = "token_mean"
"""


def test_a_loss_of_ones_own_file_trains(policy_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own_loss.py").write_text(OWN)
    own = f"{tmp_path / 'own_loss.py'}:Narrow"
    config = settings(own, policy_folder, tmp_path / "run", audits=0)
    assert (config.clip_high, config.aggregation) == (0.01, "token_mean")
    (step,) = read_lines(train(config) / STEPS)
    assert step["clip_fraction_high"] > 0


def test_a_record_older_than_the_setting_still_reads() -> None:
    record = TrainConfig(clip_high=0.28).to_dict()
    del record["loss"]
    assert TrainConfig.from_dict(record) == TrainConfig(clip_high=0.28)
    assert TrainConfig.from_dict(record).make_loss() == make_loss(
        "ppo", clip_high=0.28, aggregation="sequence_sum"
    )
