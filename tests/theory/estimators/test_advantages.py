"""Group normalisations: their definitions, and what they may not do to a signal."""

from fractions import Fraction

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from referee import mean_covariance, rationals, rows_by_prompt, tolerance
from strategies import Bandit, bandits
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import NORMALISERS, group_advantage
from covlaw.theory.estimators.covariance import within_prompt_covariance

SAMPLES = bandits(exact=False)


def centred(values: list[Fraction]) -> list[Fraction]:
    mean = sum(values, Fraction(0)) / len(values)
    return [v - mean for v in values]


def deviation(values: list[Fraction], freedom: int) -> mpmath.mpf:
    square = sum((v * v for v in values), Fraction(0)) / freedom
    return mpmath.sqrt(mpmath.mpf(square.numerator) / square.denominator)


def divided(values: list[Fraction], by: mpmath.mpf) -> list[float]:
    return [float(mpmath.mpf(v.numerator) / v.denominator / by) if by else 0.0 for v in values]


def by_definition(score: Tensor, prompt: Tensor, normaliser: str) -> Tensor:
    out = torch.empty_like(score)
    groups = list(rows_by_prompt(prompt).values())
    pooled = [v for rows in groups for v in centred(rationals(score[rows]))]
    everything = centred(rationals(score))
    for rows in groups:
        own = centred(rationals(score[rows]))
        values = {
            "dr_grpo": lambda own=own: [float(v) for v in own],
            "rloo": lambda own=own: [float(v * len(own) / (len(own) - 1)) for v in own],
            "grpo": lambda own=own: divided(own, deviation(own, len(own) - 1)),
            "pooled_within": lambda own=own: divided(
                own, deviation(pooled, len(score) - len(groups))
            ),
            "reinforce++": lambda rows=rows: divided(
                [everything[row] for row in rows], deviation(everything, len(score) - 1)
            ),
        }[normaliser]()
        out[rows] = torch.tensor(values, dtype=torch.float64)
    return out


def conditioning(score: Tensor, prompt: Tensor, normaliser: str) -> float:
    """How much a rounding of a score can move its advantage: its largest size over its spread."""
    if normaliser in ("dr_grpo", "rloo"):
        return float(score.abs().max())
    together = normaliser == "reinforce++"
    parts = [score] if together else [score[rows] for rows in rows_by_prompt(prompt).values()]
    spreads = [part.std().item() for part in parts if part.std() > 0]
    size = float(score.abs().max())
    if not spreads:
        return 1.0
    if normaliser == "pooled_within":  # the pooled spread is at least this one
        return size / max(spreads) * len(score) ** 0.5
    return max(size / spread for spread in spreads)


@given(SAMPLES, st.sampled_from(sorted(NORMALISERS)))
def test_advantages_follow_their_definition(bandit: Bandit, normaliser: str) -> None:
    score, prompt = bandit.score, bandit.prompt
    condition = conditioning(score, prompt, normaliser)
    rows = len(score)
    noise = rounding(1.0, 4 * rows)
    if normaliser not in ("dr_grpo", "rloo") and condition * noise * rows > 1:
        return  # spread and rounding cannot be told apart: the estimator may say 0
    seen = group_advantage(score, prompt, normaliser)
    # |A| ≤ √K for a standardised score, ≤ 4·max|s| otherwise; both roundings enter relative to it
    size = max(condition, 1.0) * rows if normaliser not in ("dr_grpo", "rloo") else 4 * condition
    assert (
        (seen - by_definition(score, prompt, normaliser)).abs() <= rounding(size, 64 * rows)
    ).all()


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=3), st.integers(2, 9))
def test_equal_scores_carry_no_signal(values: list[float], size: int) -> None:
    """0.1 added to itself is not exactly K times 0.1: the spread is rounding, not signal."""
    score = torch.tensor(values, dtype=torch.float64).repeat_interleave(size)
    prompt = torch.arange(len(values)).repeat_interleave(size)
    for name in ("grpo", "pooled_within"):
        assert torch.equal(group_advantage(score, prompt, name), torch.zeros_like(score))


@pytest.mark.parametrize("normaliser", sorted(set(NORMALISERS) - {"dr_grpo", "rloo"}))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_of_a_narrow_score_is_no_signal(dtype: torch.dtype, normaliser: str) -> None:
    """.9 + .7 and 1.6 are equal scores: in float32 they differ in the last bit."""
    rewards = torch.tensor([[1, 1, 0], [0, 0, 1]] * 2, dtype=dtype)
    score = rewards @ torch.tensor([0.9, 0.7, 1.6], dtype=dtype)
    if dtype is torch.float32:
        assert len(score.unique()) == 2
    prompt = torch.zeros(4, dtype=torch.int64)
    assert group_advantage(score, prompt, normaliser).tolist() == [0.0] * 4
    # an array keeps its dtype, and a difference that the dtype can hold stays one
    if dtype is torch.float32:
        assert group_advantage(score.numpy(), prompt, normaliser).tolist() == [0.0] * 4
        apart = score + torch.tensor([0, 0, 0, 1e-4])
        assert group_advantage(apart, prompt, normaliser)[3] > 1
        assert group_advantage(score.double(), prompt, normaliser).abs().max() > 0.8


def test_a_small_group_beside_a_large_one_keeps_its_signal() -> None:
    score = torch.tensor([1e12, 2e12, 0.0, 1e-6], dtype=torch.float64)
    advantage = group_advantage(score, torch.tensor([0, 0, 1, 1]), "grpo")
    assert ((advantage.abs() - 0.5**0.5).abs() <= rounding(1.0, 64)).all()


@given(SAMPLES)
def test_leave_one_out_gives_the_unbiased_covariance(bandit: Bandit) -> None:
    """T20: (1/K) Σ r_k A_k with the RLOO advantage is the (K−1) covariance."""
    advantage = group_advantage(bandit.score, bandit.prompt, "rloo")
    counts = (bandit.prompt[:, None] == bandit.prompt[None]).sum(1).double()
    for column in bandit.rewards.T:
        seen = sum(
            (column[rows] * advantage[rows]).mean()
            for rows in rows_by_prompt(bandit.prompt).values()
        ) / len(rows_by_prompt(bandit.prompt))
        expected = mean_covariance(column, bandit.score, bandit.prompt)
        size = column.abs().max() * bandit.score.abs().max() * 4
        assert abs(float(seen) - expected) <= rounding(size, 16 * int(counts.max()) + 16)


@given(SAMPLES, st.sampled_from(["dr_grpo", "rloo"]))
def test_centring_does_not_touch_the_law(bandit: Bandit, normaliser: str) -> None:
    advantage = group_advantage(bandit.score, bandit.prompt, normaliser)
    for rows in rows_by_prompt(bandit.prompt).values():
        factor = 1.0 if normaliser == "dr_grpo" else len(rows) / (len(rows) - 1)
        part = (bandit.rewards[rows], bandit.score[rows], bandit.prompt[rows])
        law = within_prompt_covariance(*part).estimate
        seen = within_prompt_covariance(part[0], advantage[rows], part[2]).estimate
        for j, column in enumerate(part[0].T):
            allowed = 2 * tolerance(column, part[1], part[2])
            spread = float(column.max() - column.min())
            # the centred score is itself rounded, relative to its size
            allowed += 4 * float(rounding(spread * advantage[rows].abs().max(), 4 * len(rows)))
            allowed += float(tolerance(column, advantage[rows], part[2]))
            assert abs(seen[j] - factor * law[j]) <= factor * allowed


def test_dividing_by_the_group_std_can_reverse_the_sign() -> None:
    """T23: every prompt is reweighted by 1/sd_x; population groups of two equiprobable arms."""
    reward = torch.tensor([1.0, 0.0, 0.0, 2.0], dtype=torch.float64)[:, None]
    score = torch.tensor([1.0, 0.0, 0.1, 0.0], dtype=torch.float64)
    prompt = torch.tensor([0, 0, 1, 1])
    law = within_prompt_covariance(reward, score, prompt).estimate
    grpo = within_prompt_covariance(reward, group_advantage(score, prompt), prompt).estimate
    assert law > 0 > grpo


@pytest.mark.parametrize(
    ("score", "prompt", "normaliser", "message"),
    [
        ([1.0, 2.0], [0, 0], "grop", r"unknown normaliser 'grop': did you mean grpo"),
        ([1.0, 2.0, 3.0], [0, 0], "grpo", r"score has shape \(3,\) for 2 completions"),
        ([1.0, 2.0], [0, 1], "grpo", r"prompt 0 has a single completion \(2 such prompts\)"),
        ([1.0, float("nan")], [0, 0], "grpo", r"score is nan at row 1: mend"),
    ],
)
def test_bad_input_names_culprit_and_remedy(
    score: list[float], prompt: list[int], normaliser: str, message: str
) -> None:
    with pytest.raises(CovlawError, match=message):
        group_advantage(torch.tensor(score), torch.tensor(prompt), normaliser)
