"""The pooled judgement of sampled identities: its error rate, and what it can refute.

Planted: 80 audits of 3 objectives at 16 prompts × 8 completions, true changes of all sizes down to
0, rewards rare and common, noise that forecast and outcome share through their prompts.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import binom

from covlaw.theory.estimators.budget import ScoreFields
from covlaw.theory.estimators.rollouts import Rollouts
from covlaw.theory.statements._pooled import FEWEST, Pooled, pooled
from covlaw.theory.statements._support.scaled import scaled
from covlaw.theory.statements.base import Halves, Sides
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.updates.change_is_the_covariance_with_the_importance_ratio import (
    STATEMENT,
    sides,
)
from covlaw.theory.worlds.updates import Update

PROMPTS, COMPLETIONS, OBJECTIVES = 16, 8, 3


def audit(rng: np.random.Generator) -> Update:
    """One sampled audit whose change is known to be Cov(r, ρ), prompt by prompt."""
    shape = (PROMPTS, COMPLETIONS)
    share = rng.uniform(0.02, 0.6, size=OBJECTIVES)
    gain = rng.normal(scale=0.3, size=OBJECTIVES) * rng.choice([0.0, 1.0], OBJECTIVES)
    gain = gain + rng.normal(scale=0.05, size=(PROMPTS, OBJECTIVES))
    old = rng.random((*shape, OBJECTIVES)) < share
    # ρ = Π_j (1 + g_j (r_j − p_j)), independent rewards: E ρ = 1, Cov(r_j, ρ) = g_j p_j (1 − p_j)
    ratio = (1 + gain[:, None] * (old - share)).prod(-1)
    lifted = share + gain * share * (1 - share)
    fresh = rng.random((*shape, OBJECTIVES)) < lifted[:, None]
    before = rng.random((*shape, OBJECTIVES)) < share
    change = fresh.mean(1) - before.mean(1)
    flat = torch.as_tensor(old.reshape(-1, OBJECTIVES), dtype=torch.float64)
    prompt = torch.arange(PROMPTS).repeat_interleave(COMPLETIONS)
    log_ratio = torch.as_tensor(np.log(ratio.clip(1e-3))).reshape(-1)
    fields = ScoreFields(*[log_ratio] * len(ScoreFields._fields))
    return Update(
        "planted",
        Rollouts(prompt, flat, [f"r{j}" for j in range(OBJECTIVES)]),
        fields,
        torch.as_tensor(change.mean(0)),
        torch.as_tensor(change.std(0, ddof=1) / PROMPTS**0.5),
    )


def audits(seed: int, count: int = 80) -> list[Update]:
    rng = np.random.default_rng(seed)
    return [audit(rng) for _ in range(count)]


def found(seed: int, variant: Callable[..., Sides] = sides, count: int = 80) -> Pooled:
    rng = np.random.default_rng(0)
    judged = pooled([variant(update, rng) for update in audits(seed, count)])
    assert judged is not None
    return judged


@pytest.mark.slow
def test_a_true_identity_is_rejected_as_often_as_stated() -> None:
    """At 5 %, in 40 repetitions: no more rejections than a 5 % coin gives in all but 1 of 1000."""
    rejected = sum(found(seed).p_value < 0.05 for seed in range(40))
    assert rejected <= binom.isf(1e-3, 40, 0.05)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0, -0.5])
def test_the_nearest_false_variants_are_refuted_together(scale: float) -> None:
    for seed in range(2):
        rng = np.random.default_rng(0)
        variant = scaled(sides, scale)
        judgement = judge("identity", [variant(update, rng) for update in audits(seed)])
        assert judgement is not None
        assert judgement.violations > 0


def test_the_slope_is_one_within_its_error() -> None:
    slopes = [found(seed) for seed in range(20)]
    pulls = np.array([(s.slope - 1) / s.slope_error for s in slopes])
    assert abs(pulls.mean()) < 4 / 20**0.5
    assert max(s.slope_error for s in slopes) < 0.25


def normal_sides(slope: float, seed: int = 0, count: int = 200, noise: float = 0.05) -> list[Sides]:
    """Both sides of `count` instances of 2 comparisons, measured = slope × truth, normal errors."""
    rng = np.random.default_rng(seed)
    truth = torch.as_tensor(rng.normal(scale=0.03, size=(count, 2)))
    error = torch.full_like(truth[0], noise)

    def seen(size: float) -> torch.Tensor:
        return truth + size * noise * torch.as_tensor(rng.normal(size=truth.shape))

    first, second = seen(2**0.5), seen(2**0.5)
    measured = seen(1.0) + (slope - 1) * truth
    return [
        Sides(m, (a + b) / 2, 0 * m, 2**0.5 * error, 31, Halves(a, b, *[2**0.5 * error] * 2))
        for m, a, b in zip(measured, first, second, strict=True)
    ]


def test_errors_in_the_forecast_do_not_dilute_the_slope() -> None:
    """Least squares on the whole forecast would: its noise is in the denominator."""
    compared = normal_sides(1.0)
    measured, predicted = (torch.stack([side[k] for side in compared]) for k in (0, 1))
    diluted = float((measured * predicted).sum() / predicted.square().sum())
    judged = pooled(compared)
    assert judged is not None
    assert diluted < 0.6
    assert abs(judged.slope - 1) < 3 * judged.slope_error < 1


def test_few_instances_and_exact_ones_are_not_pooled() -> None:
    rng = np.random.default_rng(0)
    some = [sides(update, rng) for update in audits(0, FEWEST - 1)]
    assert pooled(some) is None
    assert pooled([s._replace(halves=None) for s in some * 2]) is None


def test_a_slope_that_no_single_comparison_shows_is_a_violation() -> None:
    true, steeper = (judge("identity", normal_sides(slope, noise=0.02)) for slope in (1.0, 1.6))
    assert true is not None
    assert steeper is not None
    assert (true.violations, steeper.violations) == (0, 1)


def test_zero_everywhere_holds_and_has_no_slope() -> None:
    zero = torch.zeros(2, dtype=torch.float64)
    side = Sides(zero, zero, zero, zero + 1e-3, 5, Halves(zero, zero, zero, zero))
    judged = pooled([side] * FEWEST)
    assert judged is not None
    assert judged.p_value == 1.0
    assert np.isnan(judged.slope)


def test_t8_names_its_nearest_variants() -> None:
    assert [control.name for control in STATEMENT.nearer] == [
        "nothing changes",
        "half the covariance",
        "twice the covariance",
    ]
