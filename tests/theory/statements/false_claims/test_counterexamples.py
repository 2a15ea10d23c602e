"""F1, F2, F4: the exact rational values, and the changes they forecast."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from exact import covariance, mean

from covlaw.theory.geometry.natural_gradient import dense_natural_gradient
from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.statements import check
from covlaw.theory.statements.false_claims import large_tilts_can_oppose_the_covariance as f4
from covlaw.theory.statements.false_claims import natural_gradient_can_oppose_the_covariance as f2
from covlaw.theory.statements.false_claims import policy_gradient_can_oppose_the_covariance as f1
from covlaw.theory.statements.false_claims._explicit.worlds import as_tensor, explicit_bandit
from covlaw.theory.statements.gradients.natural_gradient_projects_the_score import natural_alignment
from covlaw.theory.tilts.thresholds import step_threshold

IDS = ("F1", "F2", "F4")


def listed(values: torch.Tensor, digits: int) -> list[float]:
    return [round(v, digits) for v in values.tolist()]


@pytest.mark.parametrize("statement_id", IDS)
@pytest.mark.parametrize("rung", ["theory", "bandit"])
def test_confirmed_and_nearby_true_case_is_not(statement_id: str, rung: str) -> None:
    verdict = check(statement_id, rung, seed=0, instances=5)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("statement_id", IDS)
@pytest.mark.parametrize("rung", ["tabular", "transformer", "llm"])
def test_elsewhere_it_is_not_applicable(statement_id: str, rung: str) -> None:
    assert check(statement_id, rung).status == "not_applicable"


def test_f1_covariance_is_a_25th_and_the_alignment_minus_a_625th() -> None:
    r, s = f1.REWARD, f1.SCORE
    assert all(a <= b for a, b in zip(r, s, strict=True))
    assert covariance(f1.POLICY, r, s) == Fraction(1, 25)
    means = mean(f1.POLICY, r), mean(f1.POLICY, s)
    advantages = [(a - means[0]) * (b - means[1]) for a, b in zip(r, s, strict=True)]
    assert mean([p * p for p in f1.POLICY], advantages) == Fraction(-1, 625)
    bandit = explicit_bandit("F1", f1.POLICY, r)
    gradients = value_gradients(bandit, torch.stack([as_tensor(r), as_tensor(s)], 1))
    assert (gradients[0] @ gradients[1]).item() == pytest.approx(-1 / 625, rel=1e-13)


def test_f1_realised_changes() -> None:
    sides = f1.sides(None, np.random.default_rng(0))  # the given instance is not read
    assert [f"{v:.1e}" for v in sides.measured[:3].tolist()] == ["-1.6e-06", "-1.7e-04", "-2.7e-03"]
    bandit, s = explicit_bandit("F1", f1.POLICY, f1.REWARD), as_tensor(f1.SCORE)
    tilt = bandit.value(0.1 * s) - bandit.value()
    assert round(tilt.item(), 4) == 0.0039  # the tilt of the same strength does improve r


def test_f2_covariance_is_a_ninth_and_the_natural_alignment_minus_an_18th() -> None:
    feature = [row[0] for row in f2.FEATURES]
    assert covariance(f2.POLICY, f2.REWARD, f2.SCORE) == Fraction(1, 9)
    projected = covariance(f2.POLICY, f2.REWARD, feature) * covariance(f2.POLICY, f2.SCORE, feature)
    assert projected / covariance(f2.POLICY, feature, feature) == Fraction(-1, 18)
    alignment = natural_alignment(f2.natural_bandit(f2.FEATURES), as_tensor(f2.SCORE))
    assert alignment.item() == pytest.approx(-1 / 18, rel=1e-13)
    full = natural_alignment(f2.natural_bandit(None), as_tensor(f2.SCORE))
    assert full.item() == pytest.approx(1 / 9, rel=1e-13)


def test_f2_natural_step_of_the_full_softmax_is_the_tilt() -> None:
    bandit, s = f2.natural_bandit(None), as_tensor(f2.SCORE)
    direction = dense_natural_gradient(bandit, s - s.mean())
    torch.testing.assert_close(bandit.value(0.3 * direction), bandit.value(0.3 * s))


def test_f4_covariance_and_changes() -> None:
    assert covariance(f4.POLICY, f4.REWARD, f4.SCORE) == Fraction(1, 40)
    rng = np.random.default_rng(0)
    assert listed(f4.small_tilt_sides(None, rng).measured[:2], 4) == [0.0022, 0.0055]
    assert listed(f4.sides(None, rng).measured[:2], 4) == [-0.0025, -0.0499]


def test_f4_turns_where_t6_says() -> None:
    bandit = explicit_bandit("F4", f4.POLICY, f4.REWARD)
    turn = step_threshold(
        bandit.rewards, as_tensor(f4.SCORE), bandit.prompt, bandit.log_prob_at().exp()
    ).certified.item()
    assert max(f4.NOT_YET) < turn < min(f4.TURNED)
    assert round(turn, 3) == 0.904


def test_probabilities_must_sum_to_exactly_one() -> None:
    with pytest.raises(ValueError, match="sum to 9/10"):
        explicit_bandit("bad", (Fraction(1, 2), Fraction(2, 5)), (0, 1))
