"""F12: with three objectives GradNorm's balanced gradients can lower one of them.

Three equiprobable arms, r₁ = (2, 1, 0), r₂ = (0, 10, 20), r₃ = (0, 2, 1). Balanced, λ ∝ (10, 1, 10)
and r₁'s correlations −1 and −1/2 with the others outweigh its own: Cov(r₁, λ·r) = −10/63.
"""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
from torch import Tensor

from covlaw.theory.scalarizers import make_scalarizer
from covlaw.theory.statements._support.inapplicable import AN_EXPLICIT_BANDIT
from covlaw.theory.statements.base import NegativeControl, Sides, Statement
from covlaw.theory.statements.false_claims._claim import Case, Claim, Contrast
from covlaw.theory.statements.false_claims._explicit.objectives import (
    claimed_gain,
    explicit_objectives,
    gradient_direction,
)
from covlaw.theory.statements.false_claims._rationals import (
    Integers,
    covariance,
    integer_vectors,
    uniform,
)
from covlaw.theory.statements.scalarization._frozen_worlds import frozen_batch, policy_gradients
from covlaw.theory.worlds.world import World

POLICY = (Fraction(1, 3),) * 3
REWARDS = ((2, 1, 0), (0, 10, 20), (0, 2, 1))
ETAS, BATCHES = (1e-3, 0.1, 1.0), 150


def sides(world: World, rng: np.random.Generator) -> Sides:
    """The claim that r₁ rises against its change by plain steps on the settled signal."""
    etas = (*ETAS, float(10 ** rng.uniform(-3, 0)))
    return claimed_gain(*_settled("F12", REWARDS), etas)


def two_objective_sides(world: World, rng: np.random.Generator) -> Sides:
    """Where the claim is true: r₁ and r₃ alone, 1 + corr = 1/2."""
    return claimed_gain(*_settled("two objectives", (REWARDS[0], REWARDS[2])), ETAS)


@cache
def _settled(label: str, rewards: tuple[Integers, ...]) -> tuple[World, tuple[int, ...], Tensor]:
    """The bandit, r₁, and the plain gradient of the settled signal: the same for all instances."""
    bandit = explicit_objectives(label, POLICY, rewards)
    return bandit, (0,), gradient_direction(bandit, settled_score(bandit))


def settled_score(bandit: World, batches: int = BATCHES) -> Tensor:
    """Λ·r (n,) once GradNorm (α = 0) has balanced the gradients of a frozen policy."""
    gradients = policy_gradients(bandit)
    batch = frozen_batch(bandit, gradients @ gradients.T)
    scalarizer = make_scalarizer("gradnorm", bandit.names, alpha=0.0)
    state = scalarizer.init()
    for _ in range(batches):
        state, _ = scalarizer.signal(state, batch)
    return scalarizer.signal(state, batch)[1].score


def _cases() -> Iterator[Case]:
    """Rewards of equal variance on equiprobable arms: GradNorm's α = 0 weights are then equal."""
    for arms in (3, 4, 5):
        by_variance: dict[Fraction, list[Integers]] = {}
        for vector in integer_vectors(arms, 2):
            by_variance.setdefault(covariance(uniform(arms), vector, vector), []).append(vector)
        for _, vectors in sorted(by_variance.items()):
            yield from ({"π": uniform(arms), "r": triple} for triple in _triples(vectors))


def _triples(vectors: list[Integers]) -> Iterator[tuple[Integers, Integers, Integers]]:
    for first, second, third in product(vectors, repeat=3):
        if second <= third:  # the other two in one order
            yield first, second, third


def _refute(case: Case) -> Contrast | None:
    """With uniform π ⟨g_j, g_k⟩ = Cov_jk/n, so |g_j| are equal and λ = (1, 1, 1)/3."""
    first, *others = case["r"]
    variance = covariance(case["π"], first, first)
    total = variance + sum(covariance(case["π"], first, other) for other in others)
    return Contrast(variance / 3, total / 3) if total < 0 else None


CLAIM = Claim(
    id="F12",
    sentence="GradNorm protects every objective",
    forecast="λ₁·Var(r₁), what the objective contributes itself",
    outcome="Cov(r₁, λ·r)",
    order="number of equiprobable arms, then the common variance; 3 objectives",
    cases=_cases,
    refute=_refute,
)

STATEMENT = Statement(
    id="F12",
    title="GradNorm does not protect every objective once there are three",
    explanation="GradNorm balances the lengths of the objectives' gradients, which sounds as if"
    " each were heard equally. Lengths say nothing of directions: here two of three objectives"
    " oppose the first, and a plain gradient step on the balanced signal lowers it. With two"
    " objectives the claim is true (E3).",
    kind="counterexample",
    formula="π = (1/3, 1/3, 1/3), r₁ = (2, 1, 0), r₂ = (0, 10, 20), r₃ = (0, 2, 1):"
    " λ → (10, 1, 10)/21, Cov(r₁, λ·r) = −10/63",
    latex=r"\lambda\to\tfrac1{21}(10,1,10),\qquad \mathrm{Cov}(r_1,\lambda\cdot r)=-\tfrac{10}{63}",
    assumptions=("one free logit an arm", "GradNorm with α = 0, settled", "plain gradient steps"),
    source="ours, of the rule of Chen et al. 2018 (arXiv 1711.02257)",
    needs=World,
    sides=sides,
    control=NegativeControl("two objectives, where the claim is true", two_objective_sides),
    not_applicable=AN_EXPLICIT_BANDIT,
)
