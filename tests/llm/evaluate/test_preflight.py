"""`covlaw preflight` samples a model that was never run: costs first, then the same inspection."""

import json
from pathlib import Path

import pytest

from covlaw.ladder.cli import main
from covlaw.ladder.commands import preflight as command
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import evaluate
from covlaw.theory.estimators.covariance import within_prompt_covariance

REWARDS = ("accuracy=own_rewards:odd_length", "brief=own_rewards:brief")
SIZE = ["--prompts", "6", "--completions", "8", "--max-tokens", "5"]


def test_it_says_the_costs_then_where_weights_lead(
    policy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "o.json"
    asked = ["preflight", "--model", str(policy_folder), "--rewards", *REWARDS, *SIZE]
    assert main([*asked, "--weights", "1,1", "1,0", "--json", str(record)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("6 prompts × 8 completions: at most 240 tokens, about")
    assert shown.index("samples: 48 completions in 6 groups") < shown.index("side by side")
    config = EvalConfig.of(
        str(policy_folder),
        {"split": "train", "limit": 6, "completions": 8, "max_tokens": 5, "rewards": REWARDS},
    )
    rewards = evaluate(config).rewards
    prompt = [k for k in range(6) for _ in range(8)]
    law = within_prompt_covariance(rewards.flatten(0, 1), rewards.sum(2).flatten(), prompt)
    found = json.loads(record.read_text())
    assert found["rewards"] == ["accuracy", "brief"]
    own = [found["law_pooled"][name]["estimate"] for name in found["rewards"]]
    assert own == pytest.approx(law.estimate.tolist(), rel=1e-9, abs=1e-12)


def test_a_dry_run_ends_after_the_costs(
    policy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["preflight", "--model", str(policy_folder), "--rewards", *REWARDS, *SIZE]
    assert main([*asked, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_weights_that_do_not_fit_are_refused_before_sampling(
    policy_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_sampled", lambda _: pytest.fail("sampled"))
    asked = ["preflight", "--model", str(policy_folder), "--rewards", *REWARDS, *SIZE]
    assert main([*asked, "--weights", "1,1,1"]) == 2
    assert "accuracy, brief: give one finite number each" in capsys.readouterr().err
