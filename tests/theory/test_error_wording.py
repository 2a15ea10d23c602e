"""Every refusal names the argument in its own spelling, and the remedy word for word."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.estimators.clipped_law import clipped_law, no_clip_radius
from covlaw.theory.estimators.covariance import (
    covariance_matrix,
    exact_change,
    within_prompt_covariance,
)
from covlaw.theory.estimators.margin import clip_margin
from covlaw.theory.losses import effective_weight
from covlaw.theory.tilts.thresholds import step_threshold
from covlaw.theory.worlds.tilt import tilt_log_ratio

GOOD, PROMPT = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64), torch.tensor([4, 4, 4])
MASS, TABLE = torch.full((3,), 1 / 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
CLIP = (0.2, 0.2, None)
WORDS: Any = ["not", "a", "number"]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("score", lambda: group_advantage(WORDS, PROMPT)),
        ("score", lambda: tilt_log_ratio(WORDS, 1.0, PROMPT, MASS)),
        ("log_ratio", lambda: effective_weight(GOOD, WORDS)),
        ("advantage", lambda: effective_weight(WORDS, GOOD)),
        ("log_ratio", lambda: clipped_law(TABLE, GOOD, WORDS, CLIP, PROMPT)),
        ("log_ratio", lambda: exact_change(TABLE, WORDS, PROMPT)),
        ("values", lambda: within_prompt_covariance(WORDS, GOOD, PROMPT)),
        ("signal", lambda: within_prompt_covariance(TABLE, WORDS, PROMPT)),
        ("rewards", lambda: covariance_matrix(WORDS, PROMPT)),
    ],
)
def test_what_is_not_a_number_is_named(name: str, call: Callable[[], Any]) -> None:
    with pytest.raises(CovlawError, match=rf"^{name} must be numbers"):
        call()


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (
            "score has shape (2,) for 3 completions: give one a completion",
            lambda: group_advantage(GOOD[:2], PROMPT),
        ),
        (
            "a mask (N, T), or (N,) sequence-level without",
            lambda: effective_weight(GOOD, TABLE),
        ),
        (
            "check its advantage and the log-probs of both policies for NaN and overflow",
            lambda: effective_weight(GOOD, GOOD + math.nan),
        ),
        (
            "is not finite; check the log-probs of both policies on that completion",
            lambda: exact_change(TABLE, GOOD + 800, PROMPT),
        ),
        (
            "rewards has shape (3,) for 3 completions: give (N, M)",
            lambda: covariance_matrix(GOOD, PROMPT),
        ),
        (
            "signal has shape (3, 3) for 3 completions: give (N,)",
            lambda: within_prompt_covariance(TABLE, TABLE, PROMPT),
        ),
        (
            "rewards is not finite at row 0",
            lambda: covariance_matrix(TABLE * math.nan, PROMPT),
        ),
        (
            "advantage (3, 2) does not fit log_ratio (3, 3)",
            lambda: effective_weight(TABLE[:, :2], TABLE, torch.ones(3, 3)),
        ),
    ],
)
def test_a_refusal_says_what_to_do(words: str, call: Callable[[], Any]) -> None:
    with pytest.raises(CovlawError, match=re.escape(words)):
        call()


@pytest.mark.parametrize(
    ("clip", "radius"),
    [
        ((0.2, 0.2, None), math.log(1.2)),
        ((0.1, 0.5, None), -math.log(0.9)),
        ((1.0, 0.5, None), math.log(1.5)),
        ((1.0, 0.5, 1.2), math.log(1.2)),
        ((1.0, math.inf, None), math.inf),
    ],
)
def test_no_clip_radius_is_the_nearest_end(
    clip: tuple[float, float, float | None], radius: float
) -> None:
    assert no_clip_radius(*clip) == pytest.approx(radius, rel=1e-15)


@pytest.mark.parametrize("clip", [(-0.1, 0.2, None), (0.2, -0.1, None), (0.2, 0.2, 0.9)])
def test_no_clip_radius_refuses_ranges_outside_their_domain(
    clip: tuple[float, float, float | None],
) -> None:
    with pytest.raises(CovlawError):
        no_clip_radius(*clip)


def test_clip_ranges_default_to_a_fifth_on_both_sides() -> None:
    log_ratio = torch.tensor([1.21, 1.19, 0.81, 0.79], dtype=torch.float64).log()
    weight = effective_weight(torch.tensor([1.0, 1.0, -1.0, -1.0]), log_ratio)
    assert (weight != 0).tolist() == [False, True, True, False]


def test_lists_are_as_good_as_tensors() -> None:
    rows: Any = [1.0, -1.0, 0.5]
    ratios: Any = [0.0, 0.1, -0.2]  # in float32 they would be off by 1e-9
    plain = [a * math.exp(x) for a, x in zip(rows, ratios, strict=True)]
    lists = effective_weight(rows, ratios, clip_low=1.0, clip_high=math.inf)
    assert lists.tolist() == pytest.approx(plain, rel=1e-15)
    table: Any = TABLE.tolist()
    prompt: Any = [4, 4, 4]
    margin = clip_margin(table, rows, ratios, CLIP, prompt)
    tensors = [torch.tensor(x, dtype=torch.float64) for x in (table, rows, ratios)]
    assert torch.equal(margin.local, clip_margin(*tensors, CLIP, PROMPT).local)


@pytest.mark.parametrize("target", [1e-12, 1e-3, 1.0, 50.0])
def test_one_prompt_threshold_is_accurate_for_small_and_large_targets(target: float) -> None:
    """(e^x − 1 − x)/x = k at x = threshold·b, with k set through the reward's drop."""
    score = torch.tensor([0.0, 1.0], dtype=torch.float64)
    mass = torch.tensor([0.5, 0.5], dtype=torch.float64)
    reward = torch.tensor([0.0, target], dtype=torch.float64)
    found = step_threshold(reward, score, torch.zeros(2, dtype=torch.int64), mass)
    x = float(found.one_prompt) * 0.5
    # C = target/4, R_± = target/2, Var = 1/4, b = 1/2: k = (1/2)(target/4)/((target/2)/4) = 1
    assert (math.expm1(x) - x) / x == pytest.approx(1.0, rel=1e-14)


def test_where_a_reward_is_constant_its_thresholds_are_zero() -> None:
    values = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    mass = torch.tensor([0.5, 0.5], dtype=torch.float64)
    found = step_threshold(values, values[:, 1], torch.zeros(2, dtype=torch.int64), mass)
    assert [float(t[0]) for t in found[:4]] == [0.0] * 4
    assert all(float(t[1]) > 0 for t in found[:4])
