"""Forecasts on the exact rungs, against a bandit worked out in plain numpy."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.rounding import rounding
from covlaw.toys.clipped_updates import draw_batch
from covlaw.toys.measurements.calibration import BATCH, STEPS, measure
from covlaw.toys.measurements.calibration_rungs import RUNGS

FORECASTS = ("law", "clipped", "first_order", "exact_change")
ROUNDING = float(rounding(1e3, 10_000))
"""Of some thousand operations on rewards, ratios and rates whose products stay below 10³."""


@cache
def records() -> list[dict[str, Any]]:
    return measure(seed=0, quick=True)


@pytest.mark.slow
def test_another_seed_measures_something_else() -> None:
    assert measure(seed=1, quick=True) != records()


@pytest.mark.parametrize("k", [0, 3])
def test_a_bandits_update_by_hand(k: int) -> None:
    """SGD: the surrogate min(ρA, clip(ρ)A) is differenced numerically, all else enumerated."""
    record = next(r for r in records() if (r["rung"], r["update"]) == ("bandit", k))
    rng = np.random.default_rng([0, 0, k])
    world = RUNGS["bandit"].draw(rng)
    rewards, theta = world.rewards.numpy(), world.theta.numpy().reshape(12, 6)
    score = rewards @ rng.dirichlet(np.ones(3))
    share = draw_batch(world, BATCH, rng).numpy().reshape(12, 6) / BATCH
    advantage = score.reshape(12, 6) - (share * score.reshape(12, 6)).sum(1, keepdims=True)

    def policy(logits: np.ndarray) -> np.ndarray:
        mass = np.exp(logits)
        return np.asarray(mass / mass.sum(1, keepdims=True))

    old, new, weights = policy(theta), theta.copy(), []

    def surrogate(logits: np.ndarray) -> np.ndarray:
        ratio = policy(logits) / old
        clipped = np.clip(ratio, 0.8, 1.2) * advantage
        return np.asarray((share * np.minimum(ratio * advantage, clipped)).sum(1))

    for _ in range(STEPS):
        ratio = policy(new) / old
        outside = np.where(advantage > 0, ratio > 1.2, ratio < 0.8)
        weights.append(np.where(outside, 0, ratio * advantage))
        slope = np.zeros_like(new)
        for a in range(6):
            h = 1e-6 * np.eye(6)[a]
            slope[:, a] = (surrogate(new + h) - surrogate(new - h)) / 2e-6 / 12
        new = new + record["learning_rate"] * slope
    ratio = policy(new) / old
    field = (new - theta) - (old * (new - theta)).sum(1, keepdims=True)

    def covariance(f: np.ndarray, g: np.ndarray) -> float:
        f, g = (x - (old * x).sum(1, keepdims=True) for x in (f, g))
        return float((old * f * g).sum(1).mean())

    law, clipped = (
        covariance(field, s) / covariance(s, s) * s for s in (advantage, np.mean(weights, 0))
    )
    signals = (law, clipped, field, ratio)
    differencing = 1e-8  # of central differences at 1e-6: h² and ε/h are 1e-12 and 1e-10, times η
    for name, signal in zip(FORECASTS, signals, strict=True):
        expected = [covariance(r.reshape(12, 6), signal) for r in rewards.T]
        assert record[name]["exact"] == pytest.approx(expected, rel=0, abs=differencing)
    change = [float(((policy(new) - old) * r.reshape(12, 6)).sum(1).mean()) for r in rewards.T]
    assert record["realised"] == pytest.approx(change, rel=0, abs=differencing)


def test_the_exact_form_is_what_happened() -> None:
    for record in records():
        gap = np.subtract(record["exact_change"]["exact"], record["realised"])
        assert np.abs(gap).max() <= ROUNDING


def test_the_law_and_the_first_order_miss_somewhere_on_every_rung() -> None:
    for rung in RUNGS:
        own = [r for r in records() if r["rung"] == rung]
        for name in ("law", "clipped", "first_order"):
            gaps = [np.subtract(r[name]["exact"], r["realised"]) for r in own]
            assert max(np.abs(gap).max() for gap in gaps) > 0.01


def test_samples_scatter_about_the_expectation_as_their_errors_say() -> None:
    """z² of first order and exact form, whose scale is not fitted; t with P − 1 ≥ 5 freedoms."""
    z = np.array([
        (np.array(r[name]["estimate"]) - r[name]["exact"]) / r[name]["se"]
        for r in records()
        for name in ("first_order", "exact_change")
    ])  # fmt: skip
    # the prompts are the world's own, always all of them, so that errors clustered by prompt,
    # which count the spread between prompts, are on the safe side
    assert 0.05 < np.median(z**2) < 0.46  # the median of χ²₁, were they exact


def test_six_clipped_steps_clip() -> None:
    """The clipped law differs from the law, most at the last rate, least at the first."""
    for rung in RUNGS:
        shares = []
        for place in (0, 3):
            own = [r for r in records() if r["rung"] == rung and r["update"] % 4 == place]
            law, clipped = (np.array([r[n]["exact"] for r in own]) for n in ("law", "clipped"))
            shares.append(np.linalg.norm(law - clipped) / np.linalg.norm(law))
        assert shares[0] < shares[1]


def test_no_prompt_is_left_out_of_a_batch() -> None:
    world = RUNGS["tabular"].draw(np.random.default_rng(0))
    counts = draw_batch(world, BATCH, np.random.default_rng(1))
    totals = torch.zeros(6, dtype=torch.float64).index_add(0, world.prompt, counts)
    assert totals.tolist() == [BATCH] * 6
