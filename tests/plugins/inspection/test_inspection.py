"""An inspection's numbers against the plain estimators; a planted conflict, and none."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_logs import REWARDS, rollouts

from covlaw.plugins.inspection import chunks
from covlaw.plugins.inspection.conflicts import alarms, trades
from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.inspection.scan import ALARMS, scan
from covlaw.plugins.inspection.words import alike
from covlaw.plugins.logs.log import Log
from covlaw.plugins.logs.read import read_log
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.estimators.covariance import covariance_matrix, within_prompt_covariance
from covlaw.theory.estimators.frontier import frontier
from covlaw.theory.estimators.sign_certificate import sign_certified


def close(one: Any, other: Any) -> None:
    assert torch.allclose(
        torch.as_tensor(one, dtype=torch.float64),
        torch.as_tensor(other, dtype=torch.float64),
        rtol=1e-10,
        atol=1e-13,
    )


@pytest.mark.parametrize("advantage", ["column", "grpo", "dr_grpo", "rloo", "reinforce++"])
def test_each_step_is_the_law_of_its_own_rows(
    advantage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "ROWS", 20)  # several pieces a step
    log = read_log(rollouts(steps=3))
    found = inspect_log(log, [1.0, 1.0, 0.25], advantage).to_dict()
    for step, rows in log.by_step():
        rewards, prompt = log.rewards[rows], log.prompt[rows]
        score = rewards @ torch.tensor([1.0, 1.0, 0.25], dtype=torch.float64)
        signal: Any = log.advantage
        if advantage == "column":
            signal = signal[rows]
        else:
            signal = group_advantage(score, prompt, advantage)
        law = within_prompt_covariance(rewards, signal, prompt)
        own = [row for row in found["law"] if row["step"] == step]
        assert [row["reward"] for row in own] == list(REWARDS)
        close([row["estimate"] for row in own], law.estimate)
        close([row["standard_error"] for row in own], law.standard_error)
        assert [row["certified"] for row in own] == sign_certified(law).tolist()


def test_the_covariance_is_that_of_all_groups() -> None:
    log = read_log(rollouts(steps=3))
    found = inspect_log(log)
    groups = log.step * len(log.labels) + log.prompt
    close(found.covariance, covariance_matrix(log.rewards, groups))


def test_a_reward_without_opinion_is_judged_on_the_rows_that_have_one() -> None:
    rows = rollouts(steps=1, prompts=9)
    rng = np.random.default_rng(1)
    for row in rows:
        if rng.random() < 0.4:
            row["brief"] = None
    log = read_log(rows)
    found = inspect_log(log).to_dict()
    known = ~torch.isnan(log.rewards[:, 2])
    enough = torch.bincount(log.prompt[known], minlength=len(log.labels)) > 1
    there = known & enough[log.prompt]
    assert log.advantage is not None
    law = within_prompt_covariance(log.rewards[there, 2], log.advantage[there], log.prompt[there])
    own = next(row for row in found["law"] if row["reward"] == "brief")
    close(own["estimate"], law.estimate[0])
    close(own["standard_error"], law.standard_error[0])
    pair = within_prompt_covariance(log.rewards[there, 0], log.rewards[there, 2], log.prompt[there])
    close(found["covariance"][0][2], pair.estimate[0])


def test_a_planted_conflict_is_found_with_its_sign_and_step() -> None:
    found = inspect_log(read_log(rollouts(steps=10, prompts=32, conflict_from=4)))
    raised = alarms(found)
    assert {REWARDS[alarm.reward] for alarm in raised} == {"brief"}
    assert min(alarm.step for alarm in raised) in (4, 5)
    assert {alarm.since for alarm in raised} == {4}
    trade = trades(found)[0]
    assert trade.law < 0
    assert trade.partner == 0
    assert found.headline[0].startswith("brief is being traded away since step 4: its law there is")
    assert "against accuracy" in found.headline[0]


def test_without_a_conflict_nothing_is_said_to_be_traded() -> None:
    found = inspect_log(read_log(rollouts(steps=10, prompts=32, conflict_from=None)))
    assert alarms(found) == []
    assert found.headline[0].startswith("No reward is certainly being traded away in 10")


def test_a_fall_without_an_alarm_comes_before_that_there_was_none() -> None:
    rows = rollouts(steps=12, prompts=32, conflict_from=None)
    for row in rows:  # whole groups fall, which no covariance within them shows
        row["format"] -= row["step"]
    lines = inspect_log(read_log(rows)).headline
    assert lines[0].startswith("format fell from")
    assert "no alarm came before it" in lines[0]
    assert lines[1].startswith("By the bare law no reward is certainly being traded away")


def test_the_look_ahead_ends_where_a_stronger_tilt_changes_nothing() -> None:
    """Half of the completions are right: the tilt ends on them, at KL log 2."""
    given = {"prompt": np.repeat(np.arange(40), 16), "r": np.tile([1.0] * 8 + [0.0] * 8, 40)}
    found = inspect_log(read_log(given))
    assert found.ahead is not None
    kl = [point.kl for point in found.ahead.tilts]
    assert all(more > 1.01 * less for less, more in pairwise(kl))
    assert kl[-1] == pytest.approx(float(np.log(2)), rel=0.02)


def noise(seed: int, rare: float) -> Log:
    """Rewards that have nothing to do with the signal: every law is 0, the hardest case."""
    rng = np.random.default_rng(seed)
    steps, prompts, completions = 4, 8, 4
    rows = steps * prompts * completions
    group = np.repeat(np.arange(steps * prompts), completions)
    return Log(
        torch.as_tensor(group // prompts),
        torch.as_tensor(group % prompts),
        torch.as_tensor((rng.random((rows, 2)) < rare).astype(float)),
        ("one", "two"),
        tuple(range(prompts)),
        torch.as_tensor(rng.normal(size=rows)),
    )


@pytest.mark.parametrize(
    ("rare", "logs", "most"),
    [(0.5, 20, 5), pytest.param(0.05, 200, 20, marks=pytest.mark.slow)],
)
def test_noise_raises_no_more_alarms_than_stated(rare: float, logs: int, most: int) -> None:
    """Logs in which every law is 0: alarms in at most the stated share of them.

    At a rate of 1/20 more than 5 of 20 happen with probability .0003, more than 20 of 200 with
    .0012.
    """
    loud = 0
    for seed in range(logs):
        found = scan(noise(seed, rare), torch.ones(2, dtype=torch.float64), "column")
        loud += any(bool(law.alarm.any()) for law in found.laws)
    assert ALARMS == 1 / 20
    assert loud <= most


def test_dead_groups_ties_and_shares_by_hand() -> None:
    """Two prompts: a never varies in the first, b in the second; s = a + b is tied twice."""
    given = {
        "prompt": ["x", "x", "x", "y", "y", "y"],
        "a": [1, 1, 1, 0, 1, 1],
        "b": [0, 0, 3, 2, 2, 2],
    }
    found = inspect_log(read_log(given)).to_dict()
    assert found["dead_groups"] == {"a": 0.5, "b": 0.5, "score": 0.0}
    assert found["tied_pairs"] == pytest.approx(2 / 6, rel=1e-12)  # (1, 1) and (3, 3)
    # C = diag(1/6, 3/2), weights 1: shares 1/10 and 9/10
    assert list(found["variance_share"].values()) == pytest.approx([0.1, 0.9], rel=1e-12)


def test_a_filter_on_accuracy_can_turn_a_law_round() -> None:
    """F16: two equiprobable prompts of two arms each, all samples of two in their proportions."""
    a, b, c, d = (1.0, 0.0), (1.0, 1.0), (0.0, 0.5), (1.0, 0.0)
    batches = [(x, y) for x in (a, b) for y in (a, b)] + [(x, y) for x in (c, d) for y in (c, d)]
    given = {
        "prompt": [k for k in range(8) for _ in range(2)],
        "first": [x[0] for batch in batches for x in batch],
        "second": [x[1] for batch in batches for x in batch],
    }
    found = inspect_log(read_log(given), advantage="dr_grpo").to_dict()
    pooled = [found["law_pooled"][n]["estimate"] for n in ("first", "second")]
    assert pooled == pytest.approx([1 / 16, 3 / 32], rel=1e-12)
    kept = [found["filters"]["first"][n]["estimate"] for n in ("first", "second")]
    assert kept == pytest.approx([1 / 4, -1 / 8], rel=1e-12)


def test_the_mix_raises_every_reward_or_says_that_none_can() -> None:
    found = inspect_log(read_log(rollouts(steps=6, prompts=32, conflict_from=0)))
    assert found.rising.answer == "certified"
    assert bool((found.rising.mix.law > 0).all())
    mirrored = {"prompt": [0, 0, 0, 1, 1, 1], "up": [0, 1, 2, 0, 2, 1], "down": [2, 1, 0, 2, 0, 1]}
    assert inspect_log(read_log(mirrored)).rising.answer == "none"


def test_the_look_ahead_is_the_frontier_of_the_last_samples() -> None:
    log = read_log(rollouts(steps=2, prompts=64, completions=8))
    found = inspect_log(log, [1.0, 0.0, 0.5])
    assert found.ahead is not None
    assert found.ahead.steps == [1]
    start = torch.searchsorted(log.step, 1)
    point = found.ahead.tilts[3]
    plain = frontier(log.rewards[start:], log.prompt[start:], [1.0, 0.0, 0.5], [point.at])
    close(point.values, plain.values[0])
    close(point.kl, plain.kl[0])
    assert [p.at for p in found.ahead.best] == [1, 2, 4]


@pytest.mark.parametrize(
    ("weights", "advantage", "words"),
    [
        ([1.0], "auto", "accuracy, format, brief: give one finite number each"),
        (None, "gpro", "did you mean"),
        (None, "column", "no column of advantages"),
    ],
)
def test_settings_that_do_not_fit_are_named(weights: Any, advantage: str, words: str) -> None:
    rows = [{k: v for k, v in row.items() if k != "advantage"} for row in rollouts(steps=1)]
    with pytest.raises(CovlawError, match=words):
        inspect_log(read_log(rows), weights, advantage)


def test_the_record_has_what_others_rely_on(tmp_path: Path) -> None:
    del tmp_path
    found = inspect_log(read_log(rollouts(steps=5))).to_dict()
    for name in ("schema", "format", "rewards", "steps", "law", "covariance", "correlation"):
        assert name in found
    assert set(found["dead_groups"]) == {*REWARDS, "score"}
    assert all({"step", "reward"} <= set(alarm) for alarm in found["alarms"])
    assert all(isinstance(line, str) for line in found["headline"])


def test_numbers_that_stand_together_have_the_same_decimals() -> None:
    assert alike(0.41, 0.000385, error=0.0301) == ["0.410", "0.000", "0.030"]
    assert alike(-0.084, error=0.0049, sign="+") == ["-0.0840", "0.0049"]
    assert alike(-0.0, 3.0, error=0.0) == ["0.000", "3.000", "0.000"]
    assert alike(2.0, error=float("nan")) == ["2.000", "nan"]
