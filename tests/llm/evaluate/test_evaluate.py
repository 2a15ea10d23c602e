"""Evaluations: clustered errors, pass@k, lengths, fixed judgement of length, paired comparisons."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import small_run

from covlaw.ladder.cli import main
from covlaw.llm.evaluate.config import EvalConfig, run_mean_length
from covlaw.llm.evaluate.evaluation import Scores, evaluate
from covlaw.llm.evaluate.summary import compare, describe_lengths, pass_estimates, reward_estimates
from covlaw.llm.train import train
from covlaw.theory._numerics.errors import CovlawError

REWARDS = ("accuracy=own_rewards:odd_length", "brief=own_rewards:brief", "conciseness_reference")


@pytest.fixture
def config(policy_folder: Path) -> EvalConfig:
    return EvalConfig(
        model=str(policy_folder), rewards=REWARDS, completions=6, max_tokens=5, batch=7
    )


@pytest.fixture(scope="module")
def run(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = small_run(
        policy_folder,
        tmp_path_factory.mktemp("runs") / "run",
        rewards=REWARDS[:2],
        steps=3,
        completions=4,
        max_tokens=5,
        audits=0,
    )
    return train(settings)


def contents(run: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}


def by_hand(columns: torch.Tensor) -> tuple[list[float], list[float]]:
    """Means and errors from prompt means, one loop each."""
    means, errors = [], []
    for j in range(columns.shape[2]):
        prompts = [sum(row) / len(row) for row in columns[:, :, j].tolist()]
        mean = sum(prompts) / len(prompts)
        variance = sum((x - mean) ** 2 for x in prompts) / (len(prompts) - 1)
        means.append(mean)
        errors.append((variance / len(prompts)) ** 0.5)
    return means, errors


def test_means_and_errors_are_by_prompt(config: EvalConfig) -> None:
    scores = evaluate(config)
    rows = reward_estimates(scores)
    means, errors = by_hand(scores.rewards)
    assert [row.name for row in rows] == ["accuracy", "brief", "conciseness_reference"]
    # sums of 18 numbers of size ≤ 1, in another order
    assert [row.mean for row in rows] == pytest.approx(means, abs=64 * 2.0**-53)
    assert [row.standard_error for row in rows] == pytest.approx(errors, abs=64 * 2.0**-26)
    assert all(row.low <= row.mean <= row.high for row in rows)


def test_pass_at_one_is_the_mean_and_more_tries_only_help(config: EvalConfig) -> None:
    scores = evaluate(config)
    passes = pass_estimates(scores)
    assert [row.name for row in passes] == ["pass@1", "pass@2", "pass@4"]
    assert passes[0].mean == pytest.approx(reward_estimates(scores)[0].mean, abs=64 * 2.0**-53)
    assert passes[0].mean < passes[1].mean < passes[2].mean
    assert pass_estimates(scores, "clarity") == []


def test_lengths_are_described(config: EvalConfig) -> None:
    scores = evaluate(config)
    found = describe_lengths(scores)
    assert sum(found.counts) == scores.lengths.numel()
    assert found.quantiles["0%"] == scores.lengths.min()
    assert found.quantiles["100%"] == scores.lengths.max()
    unfinished = [
        length == config.max_tokens and not ended
        for length, ended in zip(
            scores.lengths.flatten().tolist(), scores.finished.flatten().tolist(), strict=True
        )
    ]
    assert found.cut_off == pytest.approx(sum(unfinished) / len(unfinished))
    assert 0 < found.cut_off < 1


def test_length_is_judged_against_what_is_said(config: EvalConfig) -> None:
    own = evaluate(config)
    assert own.mean_length == pytest.approx(float(own.lengths.mean()))
    assert evaluate(replace(config, mean_length=3.0)).mean_length == 3.0


def test_the_same_seed_gives_the_same_scores_in_any_batch_that_starts_there(
    config: EvalConfig,
) -> None:
    first, again = evaluate(config), evaluate(config)
    assert torch.equal(first.rewards, again.rewards)
    assert not torch.equal(first.lengths, evaluate(replace(config, seed=1)).lengths)


def scores_of(rewards: torch.Tensor, config: EvalConfig) -> Scores:
    lengths = torch.ones(rewards.shape[:2]).double()
    references = tuple(map(str, range(len(rewards))))
    return Scores(config, references, rewards, lengths, lengths.bool(), 1.0)


def test_a_paired_comparison_sees_what_unpaired_intervals_hide(config: EvalConfig) -> None:
    """Prompts differ by 10, the models by 0.1 everywhere: the paired interval is that point."""
    easy = torch.linspace(0, 10, 20).double()[:, None, None].expand(20, 6, 3)
    first, second = scores_of(easy, config), scores_of(easy + 0.1, config)
    row = compare(first, second)["brief"]
    # one rounding of numbers up to 10.1 each, averaged
    assert (row.low, row.mean, row.high) == pytest.approx((0.1, 0.1, 0.1), abs=16 * 2.0**-53 * 10)
    assert reward_estimates(second)[1].low < reward_estimates(first)[1].high


def test_other_prompts_or_rewards_are_not_compared(config: EvalConfig) -> None:
    first = scores_of(torch.zeros(4, 2, 3).double(), config)
    with pytest.raises(CovlawError, match="other ones"):
        compare(first, scores_of(torch.zeros(3, 2, 3).double(), config))
    other = replace(config, rewards=REWARDS[:2])
    with pytest.raises(CovlawError, match="different rewards"):
        compare(first, scores_of(torch.zeros(4, 2, 2).double(), other))


def test_a_runs_settings_and_mean_length_are_taken_over_and_nothing_moves(run: Path) -> None:
    before = contents(run)
    settings = EvalConfig.of(str(run), {"completions": 4, "limit": 6})
    assert settings.rewards == REWARDS[:2]
    assert (settings.max_tokens, settings.completions) == (5, 4)
    assert settings.mean_length == run_mean_length(run) > 1
    assert evaluate(settings).mean_length == settings.mean_length
    assert contents(run) == before


def test_what_is_given_counts_before_the_run(run: Path) -> None:
    assert EvalConfig.of(str(run), {"max_tokens": 3}).max_tokens == 3
    with pytest.raises(CovlawError, match="did you mean split"):
        EvalConfig.of(str(run), {"splitt": "val"})


def test_an_unfinished_run_is_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes((run / "config.toml").read_bytes())
    with pytest.raises(CovlawError, match="is not finished"):
        EvalConfig.of(str(tmp_path), {})


def test_the_command_compares_and_writes(
    run: Path, served_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(served_folder)
    assert main(["llm", "eval", str(run), other, "--limit", "6", "--completions", "4"]) == 0
    shown = capsys.readouterr().out
    for part in ("accuracy", "pass@4", "95 % interval", "6 prompts × 4", "cut off", "█", "minus"):
        assert part in shown
    assert f"judged against {run_mean_length(run):.1f} tokens" in shown
    assert main(["llm", "eval", str(run), "--limit", "6", "--split", "val", "--write"]) == 0
    record = json.loads((run / "eval.json").read_text())
    assert (record["split"], record["n_prompts"]) == ("val", 6)
    assert len(record["by_prompt"]) == 6
    (run / "eval.json").unlink()


def test_writing_needs_a_run(policy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["llm", "eval", str(policy_folder), "--write"]) == 2
    assert "is no run folder" in capsys.readouterr().err
