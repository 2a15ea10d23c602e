"""F1: a positive covariance does not make the plain policy gradient of s improve r.

π = (1/5, 1/5, 3/5), r = (0, 1, 0), s = (0, 1, 1), so r ≤ s: Cov(r, s) = 1/25, yet
⟨∇J_r, ∇J_s⟩ = −1/625, because the gradient weighs an arm by π² and not by π (T11).
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.worlds import (
    as_tensor,
    explicit_bandit,
    forecast_against_change,
)
from covlaw.theory.statements.false_claims._rationals import (
    alignment,
    covariance,
    growing_policies,
    integer_vectors,
)
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 5), Fraction(1, 5), Fraction(3, 5))
REWARD, SCORE = (0, 1, 0), (0, 1, 1)
ETAS = (1e-3, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r, s) > 0 against the change of r after θ + η∇J_s, at three listed η and a random one."""
    bandit = explicit_bandit("F1", POLICY, REWARD)
    return _follow_gradient(bandit, SCORE, (*ETAS, float(10 ** rng.uniform(-3, 0))))


def two_arm_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: with two arms ⟨∇J_r, ∇J_s⟩ = 2p(1−p)·Cov(r, s)."""
    p = Fraction(int(rng.integers(1, 10)), 10)
    return _follow_gradient(explicit_bandit("two arms", (1 - p, p), (0, 1)), (0, 1), ETAS)


def _follow_gradient(bandit: World, score: tuple[int, ...], etas: tuple[float, ...]) -> Sides:
    s = as_tensor(score)
    gradient = bandit.score_sum(bandit.row_weight() * centred_score(bandit, s))
    return forecast_against_change(bandit, s, gradient, etas)


def _cases() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for r, s in product(vectors, vectors):
            yield {"π": policy, "r": r, "s": s}


def _refute(case: Case) -> Contrast | None:
    policy, r, s = case["π"], case["r"], case["s"]
    return opposed(covariance(policy, r, s), alignment(policy, r, s))


CLAIM = Claim(
    id="F1",
    sentence="A positive covariance makes the plain policy gradient of s improve r",
    forecast="Cov(r, s)",
    outcome="⟨∇J_r, ∇J_s⟩",
    order="denominator of π, then the entries of r and s in {0, 1, 2}; 3 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F1",
    title="A positive covariance does not make the plain policy gradient improve a reward",
    explanation="A reward r and a training score s with positive covariance should rise together,"
    " and under a tilt they do. Here is a policy over three answers where following"
    " the plain gradient of s lowers r nevertheless, at every step size, although r"
    " never exceeds s. The gradient weighs answers by their squared probability, so it"
    " mostly moves the likely third answer, which earns nothing in r. A positive"
    " covariance alone is no promise for vanilla policy gradients.",
    kind="counterexample",
    formula="π = (1/5, 1/5, 3/5), r = (0, 1, 0), s = (0, 1, 1): Cov = +1/25, ⟨∇J_r, ∇J_s⟩ = −1/625",
    latex=r"\mathrm{Cov}(r,s)=\tfrac1{25}\quad\text{but}\quad"
    r"\langle\nabla J_r,\nabla J_s\rangle=-\tfrac1{625}",
    assumptions=("one free logit an arm", "plain gradient ascent on J_s"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("two arms, where the claim is true", two_arm_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)
