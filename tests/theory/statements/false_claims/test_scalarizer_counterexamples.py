"""F12, F13, F15: the exact rational values, by fractions and by the scalarizers themselves."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from exact import Rationals, covariance, mean

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.scalarizers import Batch, make_scalarizer
from covlaw.theory.statements import check
from covlaw.theory.statements.false_claims import gradnorm_protects_every_objective as f12
from covlaw.theory.statements.false_claims import (
    mgda_weights_have_non_negative_reward_covariance as f13,
)
from covlaw.theory.statements.false_claims import (
    tchebycheff_lifts_the_worst_objective_on_average as f15,
)
from covlaw.theory.statements.false_claims._explicit.objectives import explicit_objectives
from covlaw.theory.statements.scalarization._frozen_worlds import mgda_weights, policy_gradients
from covlaw.theory.worlds.world import World

IDS = ("F12", "F13", "F15")


def alignment(policy: Rationals, first: Rationals, second: Rationals) -> Fraction:
    """⟨∇J_1, ∇J_2⟩ = Σ π² A_1 A_2."""
    means = mean(policy, first), mean(policy, second)
    gaps = [(a - means[0]) * (b - means[1]) for a, b in zip(first, second, strict=True)]
    return mean([Fraction(p) ** 2 for p in policy], gaps)


def combined(weights: Rationals, rewards: Sequence[Rationals]) -> list[Fraction]:
    return [mean(weights, column) for column in zip(*rewards, strict=True)]


def measured(world: World, score: torch.Tensor) -> torch.Tensor:
    mass = world.log_prob_at().exp()
    return within_prompt_covariance(world.rewards, score, world.prompt, mass).estimate


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(("rung", "seed"), [("theory", 0), ("theory", 1), ("bandit", 2)])
def test_confirmed_and_the_true_case_is_not(id: str, rung: str, seed: int) -> None:
    verdict = check(id, rung, seed, instances=5)
    assert verdict.status == "holds"
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("rung", ["tabular", "transformer", "llm"])
def test_elsewhere_it_is_not_applicable(id: str, rung: str) -> None:
    assert check(id, rung).status == "not_applicable"


def test_f12_balanced_weights_and_covariance() -> None:
    variances = [covariance(f12.POLICY, r, r) for r in f12.REWARDS]
    weights = [Fraction(10, 21), Fraction(1, 21), Fraction(10, 21)]
    assert len({w * w * v for w, v in zip(weights, variances, strict=True)}) == 1
    score = combined(weights, f12.REWARDS)
    assert covariance(f12.POLICY, f12.REWARDS[0], score) == Fraction(-10, 63)
    # on equiprobable arms the plain gradients have the same angles
    assert alignment(f12.POLICY, f12.REWARDS[0], score) == Fraction(-10, 189)


def test_f12_the_scalarizer_settles_there() -> None:
    bandit = explicit_objectives("F12", f12.POLICY, f12.REWARDS)
    found = measured(bandit, f12.settled_score(bandit))[0]
    # the default step of 0.025 leaves the log-weights within 2·0.025·e^0.1 of the balance
    assert abs(found + 10 / 63) <= (np.exp(0.056) - 1) * 2 * (20 + 20 + 10) / 63


def test_f13_weights_norm_and_covariance() -> None:
    (a, b), (c, d) = ([alignment(f13.POLICY, r, s) for s in f13.REWARDS] for r in f13.REWARDS)
    weight = (d - b) / (a + d - b - c)
    assert weight == Fraction(79, 266)
    weights = (weight, 1 - weight)
    score = combined(weights, f13.REWARDS)
    assert alignment(f13.POLICY, score, score) == Fraction(27, 6650)
    assert {alignment(f13.POLICY, r, score) for r in f13.REWARDS} == {Fraction(27, 6650)}
    assert covariance(f13.POLICY, f13.REWARDS[0], score) == Fraction(-9, 1330)


def test_f13_the_scalarizer_gives_these_weights() -> None:
    bandit = explicit_objectives("F13", f13.POLICY, f13.REWARDS)
    weights = mgda_weights(bandit, policy_gradients(bandit))
    assert ((weights - torch.tensor([79, 187]).double() / 266).abs() <= rounding(1.0, 512)).all()


def test_f15_shortfalls_and_covariance() -> None:
    bandit = explicit_objectives("F15", f15.POLICY, f15.REWARDS)
    exact_shortfalls = torch.tensor([0.375, 0.25], dtype=torch.float64)
    assert ((f15.shortfalls(bandit) - exact_shortfalls).abs() <= rounding(4.0, 16)).all()
    score = f15.tchebycheff_score(bandit)
    assert score.tolist() == [-0.5, -1.0]
    exact = covariance(f15.POLICY, f15.REWARDS[0], [Fraction(s) for s in score.tolist()])
    assert exact == Fraction(-3, 32)
    assert abs(measured(bandit, score)[0] + 3 / 32) <= rounding(4.0, 64)


def test_f15_a_three_arm_example() -> None:
    """w = (½, ½), z = (1, 3), π ≈ (.684, .056, .26), r₁ = (0, 0, 1), r₂ = (3, 0, 1): −.0816."""
    policy = torch.tensor([0.684, 0.056, 0.26], dtype=torch.float64)
    rewards = torch.tensor([[0, 3], [0, 0], [1, 1]], dtype=torch.float64)
    prompt = torch.zeros(3, dtype=torch.int64)
    scalarizer = make_scalarizer("tchebycheff", ["a", "b"])
    state, signal = scalarizer.signal(scalarizer.init(), Batch(rewards, prompt, policy))
    shortfall = (state.ideal - policy @ rewards) / 2
    assert shortfall[0] > shortfall[1]
    found = within_prompt_covariance(rewards, signal.score, prompt, policy).estimate[0]
    assert round(float(found), 4) == -0.0816
