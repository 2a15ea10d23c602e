"""T19: the divisor K − 1, against the exact expectation over every batch."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory.estimators.covariance import Covariance, within_prompt_covariance
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.false_claims._explicit.worlds import as_tensor, explicit_bandit
from covlaw.theory.statements.judge import judge
from covlaw.theory.statements.sampling import sample_covariance_is_unbiased_with_k_minus_one as t19

POLICY = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
REWARD, SCORE = (0, 1, 3), (2, -1, 5)


def test_holds_and_its_control_is_refuted() -> None:
    verdict = check("T19", "theory", seed=1, instances=100)
    assert verdict.status == "holds"
    assert verdict.n >= 150
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


def expectation(samples: int, divisor: int) -> Fraction:
    """E[Σ(r − r̄)(s − s̄)/divisor] over all batches, in rationals."""
    total = Fraction(0)
    for batch in product(range(3), repeat=samples):
        probability, r, s = Fraction(1), [REWARD[i] for i in batch], [SCORE[i] for i in batch]
        for i in batch:
            probability *= POLICY[i]
        mean_r, mean_s = Fraction(sum(r), samples), Fraction(sum(s), samples)
        products = sum((a - mean_r) * (b - mean_s) for a, b in zip(r, s, strict=True))
        total += probability * products / divisor
    return total


def covariance() -> Fraction:
    def mean(values: list[int]) -> Fraction:
        return sum((p * v for p, v in zip(POLICY, values, strict=True)), Fraction(0))

    products = [a * b for a, b in zip(REWARD, SCORE, strict=True)]
    return mean(products) - mean(list(REWARD)) * mean(list(SCORE))


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_the_expectation_is_the_covariance_and_the_plug_in_is_low_by_its_factor(
    samples: int,
) -> None:
    bandit = explicit_bandit("three arms", POLICY, REWARD)
    computed, batches = t19.expected_estimate(bandit, as_tensor(SCORE), samples)
    assert batches == 3**samples
    assert expectation(samples, samples - 1) == covariance()
    assert expectation(samples, samples) == Fraction(samples - 1, samples) * covariance()
    assert computed.item() == pytest.approx(float(covariance()), rel=1e-14 * batches)


def divided_by_k(
    values: Tensor, signal: Tensor, prompt: Tensor, mass: Tensor | None, prompt_mass: Tensor
) -> Covariance:
    own = within_prompt_covariance(values, signal, prompt, mass, prompt_mass)
    counts = torch.unique(prompt, return_counts=True)[1]
    return own._replace(estimate=own.estimate * (counts[0] - 1) / counts[0])


def test_an_estimator_that_divides_by_k_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t19, "within_prompt_covariance", divided_by_k)
    worlds = RUNG.worlds(np.random.default_rng(0), 20)
    sides = [
        t19.sides(w, np.random.default_rng(k)) for k, w in zip(range(20), worlds, strict=False)
    ]
    judgement = judge("identity", sides)
    assert judgement is not None
    assert judgement.violations > 0


def test_the_llm_rung_says_why_not() -> None:
    assert "exact covariance" in STATEMENTS["T19"].not_applicable["llm"]
