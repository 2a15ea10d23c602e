"""GDPO in verl: its own function, with the rewards that its default trainer does not fetch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from verl.trainer.ppo import core_algos
from verl_toy import NAMES, PROMPTS, Policy, build, configured, fit, reward

from covlaw.theory._numerics.errors import CovlawError

pytestmark = pytest.mark.usefixtures("queue")
GDPO = (
    *("trainer.resume_mode=disable", "algorithm.adv_estimator=gdpo"),
    *("+algorithm.gdpo_reward_keys=[right,brief,clear]", "trainer.total_training_steps=1"),
)
ROUNDING = 64 * torch.finfo(torch.float32).eps
WEIGHTS = [1.0, 0.5, 0.25]


def advantage_of(trainer: Any, weights: list[float] | None) -> torch.Tensor:
    """verl's function on the batch, laid out as its older trainer lays it out."""
    rows = trainer.covlaw_seen.rows
    lengths = [int(m.sum()) for m in trainer.covlaw_seen.mask]
    mask = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in zip(mask, lengths, strict=True):
        row[:length] = 1
    found, _ = core_algos.compute_gdpo_outcome_advantage(
        torch.zeros(mask.shape),
        mask,
        np.array(rows.prompt.tolist()),
        config={"gdpo_reward_keys": NAMES, "gdpo_reward_weights": weights},
        non_tensor_batch={n: rows.rewards[:, j].numpy() for j, n in enumerate(NAMES)},
        batch={
            "prompts": torch.zeros(len(mask), 2),
            "attention_mask": torch.cat([torch.ones(len(mask), 2, dtype=torch.int64), mask], 1),
        },
    )
    return found[:, 0].double()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_gdpo_is_verls_own_number_for_number(tmp_path: Path, weights: list[float] | None) -> None:
    more = () if weights is None else (f"+algorithm.gdpo_reward_weights={weights}",)
    trainer = build(configured(tmp_path, *GDPO, *more), Policy())
    fit(trainer)
    found = trainer.covlaw_seen.advantage
    torch.testing.assert_close(found, advantage_of(trainer, weights), rtol=0, atol=ROUNDING)
    other = advantage_of(trainer, [1.0, 1.0, 3.0])
    assert (found - other).abs().max() > 1000 * ROUNDING


def test_a_scalarizers_weights_are_gdpos(tmp_path: Path) -> None:
    total = sum(WEIGHTS)
    config = configured(
        tmp_path, *GDPO, scalarizer="linear", options={"weights": [w / total for w in WEIGHTS]}
    )
    trainer = build(config, Policy())
    fit(trainer)
    torch.testing.assert_close(
        trainer.covlaw_seen.advantage,
        advantage_of(trainer, [w / total for w in WEIGHTS]),
        rtol=0,
        atol=ROUNDING,
    )


def test_our_gdpo_is_verls_but_for_its_whitening_over_tokens(tmp_path: Path) -> None:
    """Where all completions are of one length, the two are the same up to a factor."""

    def short(prompt: int, tokens: tuple[int, ...]) -> dict[str, Any]:
        return reward(prompt, tokens)

    trainers = []
    for name, more, ours in (
        ("verl", GDPO, {}),
        ("ours", (GDPO[0], GDPO[3]), {"rewards": NAMES, "scalarizer": "gdpo"}),
    ):
        policy = Policy()
        policy.logits[:, :3, 0] = -60.0  # no completion ends before the limit
        trainer = build(configured(tmp_path / name, *more, **ours), policy, scored=short)
        fit(trainer)
        trainers.append(trainer)
    theirs, ours_found = (t.covlaw_seen.advantage for t in trainers)
    by_rows = [dict(zip(t.covlaw_seen.rows.keys, range(64), strict=True)) for t in trainers]
    assert len(by_rows[0]) == 16 * PROMPTS
    first, second = (torch.sort(a).values for a in (theirs, ours_found))
    factor = float(first @ second / (second @ second))
    torch.testing.assert_close(first, factor * second, rtol=1e-4, atol=1e-5)


def test_verls_default_trainer_has_no_gdpo(tmp_path: Path) -> None:
    config = configured(tmp_path, *GDPO, "trainer.v1.trainer_mode=sync")
    with pytest.raises(KeyError, match="prompts"):
        fit(build(config, Policy()))


def test_scores_that_are_no_weighted_sum_are_refused_under_gdpo(tmp_path: Path) -> None:
    config = configured(tmp_path, *GDPO, scalarizer="tchebycheff")
    with pytest.raises(CovlawError, match="'tchebycheff' makes no weighted sum"):
        fit(build(config, Policy()))
