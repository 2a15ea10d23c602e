"""F2: a natural gradient with too few features can move a reward against its covariance.

Uniform over three arms, one feature φ = (−1, −1, 0), r = (0, 1, 0), s = (0, 1, 1): Cov(r, s) = 1/9,
yet ⟨g_r, F⁺g_s⟩ = −1/18, because φ expresses only a part of s (T12).
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product

import numpy as np

from covlaw.theory.geometry.natural_gradient import dense_natural_gradient
from covlaw.theory.geometry.policy_gradient import centred_score
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.worlds import (
    Rationals,
    as_tensor,
    explicit_bandit,
    forecast_against_change,
)
from covlaw.theory.statements.false_claims._rationals import (
    covariance,
    growing_policies,
    integer_vectors,
)
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 3),) * 3
FEATURES = ((-1,), (-1,), (0,))
REWARD, SCORE = (0, 1, 0), (0, 1, 1)
ETAS = (1e-3, 0.1, 1.0)


def natural_bandit(features: Sequence[Rationals] | None) -> World:
    """The three arms with the given features; None: one free logit an arm."""
    return explicit_bandit("F2", POLICY, REWARD, features)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r, s) > 0 against the change of r after θ + η·F⁺g_s, at three listed η and a random."""
    return _follow_natural(FEATURES, (*ETAS, float(10 ** rng.uniform(-3, 0))))


def full_softmax_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: with one free logit an arm the natural step is the tilt."""
    return _follow_natural(None, (*ETAS, float(10 ** rng.uniform(-3, 0))))


def _follow_natural(features: Sequence[Rationals] | None, etas: tuple[float, ...]) -> Sides:
    bandit, s = natural_bandit(features), as_tensor(SCORE)
    direction = dense_natural_gradient(bandit, centred_score(bandit, s))
    return forecast_against_change(bandit, s, direction, etas)


def _cases() -> Iterator[Case]:
    features = list(integer_vectors(3, 1))
    for _, policy in growing_policies(3):
        for phi, r, s in product(features, features, features):
            yield {"π": policy, "φ": phi, "r": r, "s": s}


def _refute(case: Case) -> Contrast | None:
    policy, phi, r, s = case["π"], case["φ"], case["r"], case["s"]
    information = covariance(policy, phi, phi)
    projected = covariance(policy, r, phi) * covariance(policy, phi, s) / information
    return opposed(covariance(policy, r, s), projected)


CLAIM = Claim(
    id="F2",
    sentence="The natural gradient always follows the covariance",
    forecast="Cov(r, s)",
    outcome="⟨g_r, F⁺ g_s⟩ with one feature φ",
    order="denominator of π, then the 0/1 entries of φ, r and s; 3 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F2",
    title="A natural gradient with too few features can oppose the covariance",
    explanation="Natural gradients are often said to follow the covariance of a reward r and a"
    " training score s, whatever the parametrisation. With only one feature for three"
    " answers they do not: the model cannot express the part of s that agrees with r,"
    " and what it can express lowers r. Small or adapted models (for instance with few"
    " trainable directions) can hence move an objective against its covariance; one"
    " free parameter an answer cures it.",
    kind="counterexample",
    formula="π uniform, φ = (−1, −1, 0), r = (0, 1, 0), s = (0, 1, 1): Cov = +1/9,"
    " ⟨g_r, F⁺g_s⟩ = −1/18",
    latex=r"\mathrm{Cov}(r,s)=\tfrac19\quad\text{but}\quad"
    r"\langle g_r,F^{+}g_s\rangle=-\tfrac1{18}",
    assumptions=("log-linear softmax with one feature", "natural gradient ascent on J_s"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("one free logit an arm, where the claim is true", full_softmax_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)
