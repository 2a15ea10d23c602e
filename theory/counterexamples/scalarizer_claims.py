"""F12, F13, F15: what scalarizers are said to protect."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from covlaw.theory.counterexamples.claim import Case, Claim, Contrast
from covlaw.theory.counterexamples.rationals import (
    Integers,
    alignment,
    covariance,
    growing_policies,
    integer_vectors,
    mean,
    uniform,
)


def _equal_norms() -> Iterator[Case]:
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


def _grad_norm(case: Case) -> Contrast | None:
    """With uniform π ⟨g_j, g_k⟩ = Cov_jk/n, so |g_j| are equal and λ = (1, 1, 1)/3."""
    first, *others = case["r"]
    variance = covariance(case["π"], first, first)
    total = variance + sum(covariance(case["π"], first, other) for other in others)
    return Contrast(variance / 3, total / 3) if total < 0 else None


def _pairs() -> Iterator[Case]:
    vectors = list(integer_vectors(3, 2))
    for _, policy in growing_policies(3):
        for first, second in product(vectors, vectors):
            yield {"π": policy, "r": (first, second)}


def _min_norm(case: Case) -> Contrast | None:
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


def _bandits() -> Iterator[Case]:
    rewards = list(integer_vectors(3, 3))
    for _, policy in growing_policies(3):
        for first, second, z in product(rewards, rewards, ((1, 1), (1, 2), (1, 3))):
            yield {"π": policy, "r": (first, second), "z": z, "w": (Fraction(1, 2),) * 2}


def _tchebycheff(case: Case) -> Contrast | None:
    """S = −max_i w_i(z_i − r_i), and the objective that is worst on average."""
    policy, rewards, weights, ideal = case["π"], case["r"], case["w"], case["z"]
    objectives = list(zip(weights, ideal, rewards, strict=True))
    gaps = [w * (z - mean(policy, r)) for w, z, r in objectives]
    if gaps[0] == gaps[1]:
        return None
    worst = 0 if gaps[0] > gaps[1] else 1
    score = [-max(w * (z - r[arm]) for w, z, r in objectives) for arm in range(len(policy))]
    moved = covariance(policy, rewards[worst], score)
    remark = f"objective {worst + 1} is the worst on average"
    return Contrast(gaps[worst], moved, remark) if moved < 0 else None


CLAIMS = (
    Claim(
        "F12",
        "GradNorm protects every objective",
        "λ₁·Var(r₁), what the objective contributes itself",
        "Cov(r₁, λ·r)",
        "number of equiprobable arms, then the common variance; 3 objectives",
        _equal_norms,
        _grad_norm,
    ),
    Claim(
        "F13",
        "MGDA's weights give every objective a non-negative covariance",
        "⟨g₁, Σλ_k g_k⟩ = |d|², its promise in its own geometry",
        "Cov(r₁, λ·r)",
        "denominator of π, then the entries of both rewards; 3 arms",
        _pairs,
        _min_norm,
    ),
    Claim(
        "F15",
        "Tchebycheff lifts the objective that is worst on average",
        "largest w_i(z_i − E r_i), that objective's gap",
        "its Cov(r_i, s)",
        "denominator of π, then the entries of both rewards, then z; 3 arms, w = (1/2, 1/2)",
        _bandits,
        _tchebycheff,
    ),
)
