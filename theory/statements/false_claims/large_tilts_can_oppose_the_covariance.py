"""F4: the covariance's sign does not hold for tilts of every strength.

π = (1/4, 1/2, 1/4), s = (0, 1/2, 1), r = (0, 1, 1/5): Cov(r, s) = 1/40, yet Δ(1) = −.0025 and
Δ(2) = −.0499; the sign turns at η = .904 (T6c).
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np

from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast, opposed
from covlaw.theory.statements.false_claims._explicit.worlds import (
    as_tensor,
    explicit_bandit,
    forecast_against_change,
)
from covlaw.theory.statements.false_claims._rationals import (
    covariance,
    growing_policies,
    integer_vectors,
    mean,
)
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 4), Fraction(1, 2), Fraction(1, 4))
REWARD, SCORE = (0, 1, Fraction(1, 5)), (0, Fraction(1, 2), 1)
TURNED, NOT_YET = (1.0, 2.0), (0.1, 0.5)
"""Listed η beyond the sign change, and below it."""


def sides(world: World, rng: np.random.Generator) -> Sides:
    """Cov(r, s) > 0 against the change of r at two listed η beyond the turn and a random one."""
    return _tilt((*TURNED, float(rng.uniform(1, 4))))


def small_tilt_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: tilts too weak to turn the sign."""
    return _tilt((*NOT_YET, float(rng.uniform(0.1, 0.5))))


def _tilt(etas: tuple[float, ...]) -> Sides:
    # one free logit an arm: adding η·s to the logits is the tilt
    bandit, s = explicit_bandit("F4", POLICY, REWARD), as_tensor(SCORE)
    return forecast_against_change(bandit, s, s, etas)


def _cases() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for doublings, r, s in product((1, 2, 3), vectors, vectors):
            yield {"π": policy, "r": r, "s": s, "η": f"{doublings}·ln 2", "e^η": 2**doublings}


def _refute(case: Case) -> Contrast | None:
    """e^η is an integer, so the tilted policy is rational."""
    policy, r, s = case["π"], case["r"], case["s"]
    weight = [p * case["e^η"] ** score for p, score in zip(policy, s, strict=True)]
    tilted = tuple(w / sum(weight) for w in weight)
    return opposed(covariance(policy, r, s), mean(tilted, r) - mean(policy, r))


CLAIM = Claim(
    id="F4",
    sentence="The covariance law gives the sign of the change for every step size η",
    forecast="Cov(r, s)",
    outcome="E_η r − E r after the tilt by η",
    order="denominator of π, then η in multiples of ln 2, then the entries of r and s; 3 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F4",
    title="The covariance's sign does not hold for tilts of every strength",
    explanation="The covariance of a reward r and a score s is a statement about small steps. In"
    " this example it is positive and weak tilts do raise r, yet from strength η = .9"
    " on all probability runs to the answer with the highest score, which has a low"
    " reward, and r ends below its start. Before one large step, or many in the same"
    " direction, the exact threshold (T6) has to be checked.",
    kind="counterexample",
    formula="π = (1/4, 1/2, 1/4), s = (0, 1/2, 1), r = (0, 1, 1/5): Cov = +1/40,"
    " Δ(1) = −.0025, Δ(2) = −.0499",
    latex=r"\mathrm{Cov}(r,s)=\tfrac1{40}\quad\text{but}\quad \Delta(1)<0",
    assumptions=("π_η ∝ π e^{ηs}", "η beyond the first zero of Δ (T6c)"),
    source="ours",
    needs=World,
    sides=sides,
    control=NegativeControl("small tilts, where the claim is true", small_tilt_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)
