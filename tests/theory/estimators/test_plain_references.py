"""Bounds and margins against plain loops over completions, several prompts of unequal mass."""

import math

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.estimators.margin import clip_margin
from covlaw.theory.losses import effective_weight
from covlaw.theory.tilts.remainder import remainder_bounds
from covlaw.theory.tilts.thresholds import step_threshold

PROMPT = np.array([5, 5, 5, 2, 2, 2, 2])
REWARD = np.array([[0.0, 1.0], [1.0, 0.5], [3.0, 0.0], [1.0, 1.0], [2.0, 0.0], [0.0, 0.0], [2, 1]])
MASS = np.array([0.2, 0.3, 0.5, 0.1, 0.2, 0.3, 0.4])
ADVANTAGE = np.array([1.0, -0.5, 0.2, 0.7, -1.2, 0.3, -0.4])
LOG_RATIO = np.array([0.5, -0.4, 0.1, 0.3, -0.3, -0.1, 0.05])
PROMPT_MASS = {2: 0.25, 5: 0.75}


def t(values: np.ndarray | list[float]) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values))


def outer() -> torch.Tensor:
    """In the order of the sorted prompt ids."""
    return t([PROMPT_MASS[2], PROMPT_MASS[5]])


@pytest.mark.parametrize("eta", [0.7, -1.3])
def test_remainder_bounds_add_up_over_prompts(eta: float) -> None:
    score = REWARD @ [0.5, 2.0]
    ranges, variances = np.zeros(2), np.zeros(2)
    for x, weight in PROMPT_MASS.items():
        rows = x == PROMPT
        p, s = MASS[rows], score[rows]
        variance, width = p @ (s - p @ s) ** 2, np.ptp(s)
        b = abs(eta) * width
        spread = np.ptp(REWARD[rows], axis=0)
        ranges += weight * math.sqrt(3) / 36 * eta**2 * spread * width**2
        variances += weight * eta**2 * spread * variance * (math.exp(b) - 1 - b) / b**2
    bounds = remainder_bounds(t(REWARD), t(score), eta, t(PROMPT), t(MASS), outer())
    assert bounds.ranges.numpy() == pytest.approx(ranges, rel=1e-13)
    assert bounds.variance.numpy() == pytest.approx(variances, rel=1e-12)


def test_a_score_that_never_varies_leaves_no_remainder() -> None:
    bounds = remainder_bounds(t(REWARD), torch.ones(7), 800.0, t(PROMPT), t(MASS), outer())
    assert bounds.ranges.tolist() == bounds.variance.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("token_level", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_clip_margin_is_the_plain_one(token_level: bool, exact: bool) -> None:
    """Clip .2/.28. Token-level: the first token carries all of the log-ratio, a second none."""
    mask = torch.tensor([[True, True], [True, False]]).repeat(4, 1)[:7] if token_level else None
    ratios = np.stack([LOG_RATIO, np.full(7, 9.0 if token_level else 0.0)], 1)
    log_ratio = LOG_RATIO
    if mask is not None:
        ratios[mask[:, 1].numpy(), 1] = 0.0
        log_ratio = ratios
    kept, full = np.zeros(7), np.zeros(7)
    for n in range(7):
        used = [ratios[n, 0]] + ([0.0] if mask is not None and bool(mask[n, 1]) else [])
        for log in used:
            rho, a = math.exp(log), ADVANTAGE[n]
            free = rho <= 1.28 if a >= 0 else rho >= 0.8
            kept[n] += rho * a * free / len(used)
            full[n] += rho * a / len(used)
    margin = clip_margin(
        t(REWARD),
        t(ADVANTAGE),
        t(log_ratio),
        (0.2, 0.28, None),
        t(PROMPT),
        t(MASS) if exact else None,
        outer(),
        mask,
    )
    lost, law, least = full - kept, np.zeros(2), np.zeros(2)
    for k, (x, weight) in enumerate(PROMPT_MASS.items()):
        rows = x == PROMPT
        count = rows.sum()
        p = MASS[rows] if exact else np.full(count, 1 / count)
        inflate = 1.0 if exact else count / (count - 1)
        r, y, f = REWARD[rows] - p @ REWARD[rows], lost[rows], full[rows]
        deviation = np.sqrt(p @ r**2 * (p @ (y - p @ y) ** 2))
        spread = np.ptp(REWARD[rows], axis=0) / 2 * (p @ abs(y - p @ y))
        local = np.sqrt(p @ (r**2 * (y != 0)[:, None]) * (p @ y**2))
        for measured, plain in zip(margin[2:5], (deviation, spread, local), strict=True):
            assert measured[k].numpy() == pytest.approx(inflate * plain, rel=1e-12, abs=1e-15)
        law += weight * inflate * (p * (f - p @ f)) @ r
        least += weight * inflate * np.minimum(np.minimum(deviation, spread), local)
    assert margin.unclipped.estimate.numpy() == pytest.approx(law, rel=1e-12)
    assert margin.certified.tolist() == (abs(law) > least).tolist()


def test_a_law_just_above_its_margin_is_certified() -> None:
    mass, log_ratio = t([0.35, 0.35, 0.3]), t([math.log(1.3), 0.0, 0.1])
    arguments = t([0.3, 1.0, 0.5]), log_ratio, (0.2, 0.2, None), t(np.zeros(3, dtype=int)), mass
    margin = clip_margin(t([[0.0], [1.0], [1.0]]), *arguments)
    share = float(margin.bound[0, 0] / margin.unclipped.estimate[0].abs())
    assert 0.9 < share < 1
    assert margin.certified.tolist() == [True]


def test_errors_name_the_rewards() -> None:
    bad = t(REWARD).clone()
    bad[3, 1] = math.nan
    with pytest.raises(CovlawError, match="rewards"):
        covariance_matrix(bad, t(PROMPT), t(MASS))
    with pytest.raises(CovlawError, match="rewards"):
        covariance_matrix(t(REWARD)[:, 0], t(PROMPT), t(MASS))


@pytest.mark.parametrize("offset", [5.0, -5.0])
def test_a_span_does_not_include_zero(offset: float) -> None:
    span = group_by_prompt(t(PROMPT)).span(t(REWARD) + offset)
    assert span.tolist() == [[2.0, 1.0], [3.0, 1.0]]


def test_without_prompt_masses_the_margin_is_the_mean_over_prompts() -> None:
    """Each prompt alone decides nothing about the factor; two of equal mass do."""
    arguments = t(REWARD), t(ADVANTAGE), t(LOG_RATIO), (0.3, 0.5, None), t(PROMPT), t(MASS)
    even, bare = clip_margin(*arguments, t([0.5, 0.5])), clip_margin(*arguments)
    law, least = bare.unclipped.estimate.abs(), bare.bound.mean(0)
    assert bool(((law > least) != (law > 4 * least)).any())  # a sum in place of a mean would show
    assert bare.certified.tolist() == even.certified.tolist() == (law > least).tolist()


def test_an_advantage_may_be_one_column_for_all_tokens() -> None:
    log_ratio, mask = t(np.stack([LOG_RATIO, -LOG_RATIO], 1)), torch.ones(7, 2)
    column = effective_weight(t(ADVANTAGE)[:, None], log_ratio, mask)
    assert torch.equal(column, effective_weight(t(ADVANTAGE), log_ratio, mask))


def test_thresholds_weigh_prompts_by_their_mass() -> None:
    """(a) 12√3·|Σ D·Cov| / Σ D·R·S²."""
    score, law, bend = REWARD @ [0.5, 2.0], np.zeros(2), np.zeros(2)
    for x, weight in PROMPT_MASS.items():
        rows = x == PROMPT
        p, s, r = MASS[rows], score[rows], REWARD[rows]
        law += weight * (p * (s - p @ s)) @ r
        bend += weight * np.ptp(r, axis=0) * np.ptp(s) ** 2
    found = step_threshold(t(REWARD), t(score), t(PROMPT), t(MASS), outer())
    assert found.ranges.numpy() == pytest.approx(12 * 3**0.5 * abs(law) / bend, rel=1e-12)


def test_a_clipped_ratio_may_overflow_where_the_advantage_is_zero() -> None:
    assert effective_weight(t([0.0, 1.0]), t([800.0, 0.0])).tolist() == [0.0, 1.0]


def test_a_constant_reward_has_no_remainder_however_large_the_tilt() -> None:
    values = np.stack([np.ones(7), REWARD[:, 0]], 1)
    bounds = remainder_bounds(t(values), t(REWARD[:, 0]), 1e3, t(PROMPT), t(MASS), outer())
    assert bounds.variance.tolist() == [0.0, math.inf]
