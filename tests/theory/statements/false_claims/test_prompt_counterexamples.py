"""F3, F6, F14: the counterexamples of several prompts, confirmed and in exact arithmetic."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from exact import covariance

from covlaw.theory.geometry.policy_gradient import value_gradients
from covlaw.theory.statements import check
from covlaw.theory.statements.false_claims import group_std_can_oppose_the_covariance as f6
from covlaw.theory.statements.false_claims import pooled_covariance_can_oppose_the_law as f14
from covlaw.theory.statements.false_claims import (
    two_arms_can_oppose_the_covariance_over_prompts as f3,
)
from covlaw.theory.statements.false_claims._explicit.prompts import explicit_prompts, flat
from covlaw.theory.statements.false_claims._explicit.worlds import as_tensor, explicit_bandit


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("statement_id", ["F3", "F6", "F14"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holds_and_its_control_is_refuted(statement_id: str, seed: int) -> None:
    verdict = check(statement_id, "theory", seed, instances=30)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("statement_id", ["F3", "F6", "F14"])
def test_explicit_bandits_are_confirmed_on_the_bandit_rung_and_nowhere_higher(
    statement_id: str,
) -> None:
    assert check(statement_id, "bandit", instances=3).status == "holds"
    for rung in ("tabular", "transformer", "llm"):
        assert check(statement_id, rung).status == "not_applicable"


def test_f3_free_logits_in_rationals() -> None:
    policies, rewards, scores = f3.UNEVEN, f3.UNEVEN_REWARD, f3.UNEVEN_SCORE
    own = [covariance(*row) for row in zip(policies, rewards, scores, strict=True)]
    assert sum(own) / 2 == Fraction(1, 100)
    # two arms: Σ π² A_r A_s = 2p(1−p)·Cov, and D² = 1/4 (T11)
    gram = sum(Fraction(1, 4) * 2 * p[0] * p[1] * c for p, c in zip(policies, own, strict=True))
    assert gram == Fraction(-191, 10_000)
    bandit = explicit_prompts("F3", policies, rewards)
    gradients = value_gradients(bandit, torch.stack([flat(rewards), flat(scores)], 1))
    assert (gradients[0] @ gradients[1]).item() == pytest.approx(-0.0191, rel=1e-13)


def test_f3_shared_parameter_in_rationals() -> None:
    for row in zip(f3.EVEN, f3.SHARED_REWARD, f3.SHARED_SCORE, strict=True):
        assert covariance(*row) == Fraction(3, 4)
    rewards, scores = flat(f3.SHARED_REWARD), flat(f3.SHARED_SCORE)
    bandit = explicit_prompts("F3", f3.EVEN, f3.SHARED_REWARD, f3.OPPOSITE)
    gradients = value_gradients(bandit, torch.stack([rewards, scores], 1))
    assert gradients[:, 0].tolist() == pytest.approx([-0.25, 0.25], rel=1e-13)
    assert (gradients[0] @ gradients[1]).item() == pytest.approx(-0.0625, rel=1e-13)


def test_f6_across_prompts_in_rationals() -> None:
    rows = list(zip(f6.UNIFORM, f6.PROMPT_REWARD, f6.PROMPT_SCORE, strict=True))
    own = [covariance(*row) for row in rows]
    assert sum(own) / 2 == Fraction(1, 10)
    # uniform over two arms: sd = half of the gap
    deviations = [Fraction(abs(s[0] - s[1])) / 2 for _, _, s in rows]
    assert sum(c / d for c, d in zip(own, deviations, strict=True)) / 2 == Fraction(-1, 4)
    assert f6.across_prompts((0.1,)).predicted.item() == pytest.approx(0.1, rel=1e-13)


def test_f6_groups_of_two_in_rationals() -> None:
    assert covariance(f6.POLICY, f6.REWARD, f6.SCORE) == Fraction(1, 16)
    total = Fraction(0)  # of r·sign(s_k − s̄): a pair's advantages are ±1/√2
    for a, b in product(range(3), repeat=2):
        order = np.sign(f6.SCORE[a] - f6.SCORE[b])
        chance = f6.POLICY[a] * f6.POLICY[b]
        total += chance * Fraction(f6.REWARD[a] - f6.REWARD[b]) * int(order) / 2
    assert total == Fraction(-1, 16)  # with ddof 0; with ddof 1 it is divided by √2
    bandit = explicit_bandit("F6", f6.POLICY, f6.REWARD)
    shown = f6.shown_by_groups(bandit, as_tensor(f6.SCORE), 2)
    assert shown.item() == pytest.approx(-math.sqrt(2) / 32, rel=1e-13)


def test_f14_pooled_and_law_in_rationals() -> None:
    rows = list(zip(f14.UNIFORM, f14.REWARD, f14.SCORE, strict=True))
    assert sum(covariance(*row) for row in rows) / 2 == Fraction(-1, 4)
    together = [Fraction(1, 4)] * 4
    pooled = covariance(together, sum(f14.REWARD, ()), sum(f14.SCORE, ()))
    assert pooled == Fraction(99, 4)
    sides = f14.sides(None, np.random.default_rng(0))  # the given instance is not read
    assert set(sides.predicted.tolist()) == {24.75}
    assert sides.measured[0].item() == pytest.approx(-0.25 * 1e-3, rel=1e-3)


def test_prompt_probabilities_must_sum_to_exactly_one() -> None:
    with pytest.raises(ValueError, match="sum to 3/4"):
        explicit_prompts("bad", ((Fraction(1, 2), Fraction(1, 4)),), ((0, 1),))
