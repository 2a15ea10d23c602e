"""Optimism by group size: unbiased controls, the predicted bias, one batch by hand."""

from functools import cache
from typing import Any

import numpy as np
import torch

from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.measurements.group_size import (
    RATES,
    SIZES,
    Arms,
    leave_one_out,
    log_ratio,
    measure,
    sample_covariance,
)

FIVE_SIGMA = 5.0
"""Of some 150 comparisons: false once in 10⁴ runs of other seeds."""


@cache
def records() -> list[dict[str, Any]]:
    return measure(seed=0, quick=True)


def test_fresh_samples_are_unbiased() -> None:
    for record in records():
        found = record["independent"]
        assert abs(found["ratio"] - 1) <= FIVE_SIGMA * found["ratio_se"]


def test_leaving_one_out_is_unbiased() -> None:
    """It speaks of K − 1 completions: at the small rate and these K their change is K's."""
    for record in records():
        found = record["leave_one_out"]
        assert (found is None) == (record["group_size"] == 2)
        if record["learning_rate"] == RATES[0] and found:
            assert abs(found["ratio"] - 1) <= FIVE_SIGMA * found["ratio_se"]


def test_the_own_sample_exceeds_as_predicted() -> None:
    """To first order, hence at the small rate; K large enough that curvature is below the error."""
    for record in records():
        if record["learning_rate"] == RATES[0] and record["group_size"] >= 16:
            found = record["same"]
            assert abs(found["ratio"] - record["predicted"]) <= FIVE_SIGMA * found["ratio_se"]


def test_the_promise_shrinks_with_the_group() -> None:
    for rate in RATES:
        own = [r for r in records() if (r["learning_rate"], r["objective"]) == (rate, "score")]
        assert tuple(r["group_size"] for r in own) == SIZES
        ratios = [r["same"]["ratio"] for r in own]
        assert ratios == sorted(ratios, reverse=True)
        assert ratios[0] - 1 > FIVE_SIGMA * own[0]["same"]["ratio_se"]


def check(found: torch.Tensor, expected: np.ndarray) -> None:
    """Within the rounding of some hundred operations on ratios and rewards of at most 10."""
    allowed = float(rounding(100.0, 200))
    assert np.abs(expected).max() <= 10
    assert np.abs(found.numpy() - expected).max() <= allowed


def test_one_batch_by_hand() -> None:
    """Counts against the list of completions they stand for, sample by sample, in plain numpy."""
    rng = np.random.default_rng(5)
    policy, rewards = rng.dirichlet(np.ones(4)), rng.normal(size=(4, 2))
    arms = Arms(torch.as_tensor(policy), torch.as_tensor(rewards))
    batch, rate = [0, 1, 1, 3, 2, 1], 0.7
    counts = torch.bincount(torch.as_tensor(batch), minlength=4).to(torch.float64)

    def ratio(drawn: list[int]) -> np.ndarray:
        score = rewards[drawn, 1]
        theta = np.log(policy)
        for k, y in enumerate(drawn):
            advantage = score[k] - np.delete(score, k).mean()
            theta = theta + rate / len(drawn) * advantage * (np.eye(4)[y] - policy)
        new = np.exp(theta) / np.exp(theta).sum()
        return new / policy

    whole = ratio(batch)
    found = log_ratio(arms, counts, 6, rate).exp()
    check(found, whole)
    covariance = [np.cov(r[batch], whole[batch])[0, 1] for r in rewards.T]
    check(sample_covariance(counts, arms.rewards, found, 6), np.array(covariance))
    without = np.zeros(2)
    for k, y in enumerate(batch):
        others = batch[:k] + batch[k + 1 :]
        without += (rewards[y] - rewards[others].mean(0)) * ratio(others)[y] / 6
    check(leave_one_out(arms, counts, 6, rate), without)
