"""F13: MGDA's weights can give an objective a negative covariance with the score they make.

π = (1/5, 1/5, 3/5), r₁ = (0, 1, 2), r₂ = (1, 0, 0): λ₁ = 79/266, |d|² = 27/6650 > 0, yet
Cov(r₁, λ·r) = −9/1330: a plain gradient step lifts r₁, the tilt (a natural step) lowers it.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
from torch import Tensor

from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._explicit.objectives import (
    claimed_gain,
    explicit_objectives,
    gradient_direction,
    tilt_direction,
)
from covlaw.theory.statements.false_claims._rationals import (
    alignment,
    covariance,
    growing_policies,
    integer_vectors,
)
from covlaw.theory.statements.scalarization._frozen_worlds import mgda_weights, policy_gradients
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 5), Fraction(1, 5), Fraction(3, 5))
REWARDS = ((0, 1, 2), (1, 0, 0))
ETAS = (1e-3, 0.01, 0.1, 1.0)


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The claim that r₁ rises against its change along the tilt by the score."""
    bandit, score = _scored()
    etas = (*ETAS, float(10 ** rng.uniform(-3, 0)))
    return claimed_gain(bandit, [0], tilt_direction(bandit, score), etas)


def own_geometry_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: small plain gradient steps, the geometry of MGDA's Gramian."""
    bandit, score = _scored()
    return claimed_gain(bandit, [0, 1], gradient_direction(bandit, score), ETAS[:3])


@cache
def _scored() -> tuple[World, Tensor]:
    """The bandit, and λ·r (n,) with the weights that the scalarizer gives it."""
    bandit = explicit_objectives("F13", POLICY, REWARDS)
    return bandit, bandit.rewards @ mgda_weights(bandit, policy_gradients(bandit))


def _cases() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for first, second in product(vectors, vectors):
            yield {"π": policy, "r": (first, second)}


def _refute(case: Case) -> Contrast | None:
    """λ = argmin λ'Gλ on the simplex for two gradients, and Cov(r₁, λ·r)."""
    policy, (first, second) = case["π"], case["r"]
    a, b, d = (
        alignment(policy, x, y) for x, y in ((first, first), (first, second), (second, second))
    )
    if a == 0 or d == 0 or b >= min(a, d):
        return None  # one gradient alone, or none: no trade-off
    weight = (d - b) / (a + d - 2 * b)
    norm = weight * a + (1 - weight) * b
    own = weight * covariance(policy, first, first)
    total = own + (1 - weight) * covariance(policy, first, second)
    remark = f"λ = ({weight}, {1 - weight})"
    return Contrast(norm, total, remark) if norm > 0 > total else None


CLAIM = Claim(
    id="F13",
    sentence="MGDA's weights give every objective a non-negative covariance",
    forecast="⟨g₁, Σλ_k g_k⟩ = |d|², its promise in its own geometry",
    outcome="Cov(r₁, λ·r)",
    order="denominator of π, then the entries of both rewards; 3 arms",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F13",
    title="MGDA's weights do not give every objective a non-negative reward covariance",
    explanation="MGDA promises that its combined gradient ascends every objective, and it does, for"
    " plain gradient steps. The covariance law describes steps along the tilt, as natural gradients"
    " take them. In that geometry the same weights can lower an objective: here r₁, although its"
    " inner product with MGDA's gradient is positive.",
    kind="counterexample",
    formula="π = (1/5, 1/5, 3/5), r₁ = (0, 1, 2), r₂ = (1, 0, 0): λ₁ = 79/266, |d|² = 27/6650,"
    " Cov(r₁, λ·r) = −9/1330",
    latex=r"\lambda_1=\tfrac{79}{266},\quad\|d\|^2=\tfrac{27}{6650},\quad"
    r"\mathrm{Cov}(r_1,\lambda\cdot r)=-\tfrac{9}{1330}",
    assumptions=("one free logit an arm", "steps along the tilt by the score"),
    source="ours, of the rule of Désidéri 2012",
    needs=World,
    sides=sides,
    control=NegativeControl("plain gradient steps, where the claim is true", own_geometry_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)
