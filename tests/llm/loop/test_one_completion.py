"""REINFORCE++ with one completion a prompt: the batch is the baseline, audits draw their own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.records.schema.files import STEP
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import group_advantage

LONELY: dict[str, Any] = {"completions": 1, "algorithm": "reinforce++"}


def test_it_trains_and_its_audits_have_a_law(policy_folder: Path, tmp_path: Path) -> None:
    config = small_run(policy_folder, tmp_path / "run", steps=3, prompts=8, **LONELY)
    train(config)
    steps = list(read_lines(tmp_path / "run" / STEPS))
    for step in steps:
        STEP(step, "step", 2)
        assert "dead_groups" not in step
        assert set(step["truncated"]) == {"completions"}
        assert step["grad_norm"] > 0
    audits = [a for s in steps for a in s["audits"]]
    assert [a["sample"] for a in audits] == ["independent"] * 2
    for audit in audits:
        assert audit["n_completions"] == config.audit_prompts * config.audit_completions
        total = [sum(term[j] for term in audit["budget"].values()) for j in range(2)]
        # seven sums of 40 float64 products of size < 1
        assert total == pytest.approx(audit["exact_change"]["estimate"], abs=1e-12)


def test_an_adaptive_scalarizer_observes_completions_of_its_own(
    policy_folder: Path, tmp_path: Path
) -> None:
    config = small_run(
        policy_folder, tmp_path / "run", steps=2, prompts=8, audits=0, scalarizer="ctwa",
        observed=4, **LONELY,
    )  # fmt: skip
    train(config)
    weights = [s["weights"] for s in read_lines(tmp_path / "run" / STEPS)]
    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "grpo"}, "normaliser 'grpo'"),
        ({"algorithm": "rloo"}, "normaliser 'rloo'"),
        ({"scalarizer": "mgda"}, "scalarizer 'mgda'"),
        ({"scalarizer": "gdpo"}, "scalarizer 'gdpo'"),
        ({"dynamic_sampling": "score"}, "dynamic_sampling 'score'"),
    ],
)
def test_what_needs_a_group_is_refused_and_says_what_does_not(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(CovlawError, match=words) as error:
        TrainConfig(**(LONELY | settings))
    assert "reinforce++" in str(error.value)


def test_group_advantage_says_what_is_possible() -> None:
    score, prompt = torch.tensor([1.0, 2.0, 4.0]), torch.arange(3)
    found = group_advantage(score, prompt, "reinforce++")
    assert found.tolist() == pytest.approx([-0.872872, -0.218218, 1.091089], abs=1e-6)
    with pytest.raises(CovlawError, match=r"of one a prompt only reinforce\+\+"):
        group_advantage(score, prompt, "rloo")
