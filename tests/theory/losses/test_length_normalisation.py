"""T18 and F7 in exact rationals, and the effective scores they rest on."""

from fractions import Fraction

import pytest
import torch

from covlaw.theory.losses.aggregation import AGGREGATIONS, pair_effective_score
from covlaw.theory.losses.ppo import PPO
from covlaw.theory.statements import check
from covlaw.theory.statements.false_claims import constant_advantages_are_neutral as f7


def covariance(first: list[Fraction], second: list[Fraction]) -> Fraction:
    policy = f7.POLICY
    product = sum(p * a * b for p, a, b in zip(policy, first, second, strict=True))
    means = [sum(p * a for p, a in zip(policy, f, strict=True)) for f in (first, second)]
    return product - means[0] * means[1]


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [(Fraction(3, 4), (-1, 128)), (Fraction(0), (-5, 64)), (Fraction(1), (1, 64))],
)
def test_t18_rational_example(baseline: Fraction, expected: tuple[int, int]) -> None:
    reward = [Fraction(r) for r in f7.REWARD]
    score = [Fraction(s) for s in f7.SCORE]
    assert covariance(reward, score) == Fraction(1, 16)
    divided = [(s - baseline) / n for s, n in zip(score, f7.LENGTHS, strict=True)]
    assert covariance(reward, divided) == Fraction(*expected)
    assert f7.slope("sequence_mean", baseline).item() == pytest.approx(
        float(Fraction(*expected)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("baseline", "expected"), [(Fraction(0), (-17, 640)), (Fraction(3, 4), (11, 1280))]
)
def test_f7_rational_example_of_token_means(baseline: Fraction, expected: tuple[int, int]) -> None:
    reward, pairs = [Fraction(r) for r in f7.REWARD], list(zip(f7.POLICY, f7.LENGTHS, strict=True))
    factor = [sum(p * Fraction(2, n + m) for p, m in pairs) for n in f7.LENGTHS]
    signal = [(s - baseline) * f for s, f in zip(f7.SCORE, factor, strict=True)]
    assert covariance(reward, signal) == Fraction(*expected)
    assert f7.slope("token_mean", baseline).item() == pytest.approx(
        float(Fraction(*expected)), rel=1e-12
    )


def test_f7_a_constant_advantage_alone_moves_the_reward() -> None:
    """a·Cov(r, 1/L) with a = 1: slope(b = 0) − slope(b = 1)."""
    inverse = [Fraction(1, n) for n in f7.LENGTHS]
    exact = covariance([Fraction(r) for r in f7.REWARD], inverse)
    moved = f7.slope("sequence_mean", 0) - f7.slope("sequence_mean", 1)
    assert moved.item() == pytest.approx(float(exact), rel=1e-12)
    assert exact == Fraction(-3, 32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_f7_is_confirmed_and_the_sum_over_tokens_is_neutral(seed: int) -> None:
    verdict = check("F7", "theory", seed, instances=10)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]
    assert f7.slope("sequence_sum", 0).item() == pytest.approx(1 / 16, rel=1e-12)
    assert f7.slope("sequence_sum", 1).item() == pytest.approx(1 / 16, rel=1e-12)


def test_effective_scores() -> None:
    advantage = torch.tensor([2.0, -1.0, 3.0], dtype=torch.float64)
    lengths = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
    scores = {a: PPO(aggregation=a).score(advantage, lengths) for a in AGGREGATIONS}
    assert scores.pop("sequence_mean").tolist() == [0.5, -0.5, 3.0]
    assert all(score.tolist() == advantage.tolist() for score in scores.values())
    assert PPO().score(advantage[:, None].expand(3, 2), lengths) is None  # a token its own
    even = pair_effective_score(
        advantage, torch.full((3,), 5.0).double(), torch.ones(3).double() / 3
    )
    torch.testing.assert_close(even, advantage / 5)
